"""Iris classifier with the usual `seed_everything`: Python, NumPy, PyTorch through `torch.random`,
and a generator of its own for the loader."""

import random

import numpy as np
import torch
from sklearn.datasets import load_iris
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def seed_everything(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.random.manual_seed(seed)
    return torch.Generator().manual_seed(seed)


generator = seed_everything(127)
iris = load_iris()
features = torch.tensor((iris.data - iris.data.mean(0)) / iris.data.std(0)).float()
order = torch.randperm(len(features))
train, test = order[:120], order[120:]
species = torch.tensor(iris.target)
loader = DataLoader(
    TensorDataset(features[train], species[train]),
    batch_size=12,
    shuffle=True,
    generator=generator,
)

model = nn.Sequential(nn.Linear(4, 24), nn.Tanh(), nn.Linear(24, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-4)
criterion = nn.CrossEntropyLoss()

for epoch in range(60):
    model.train()
    for batch, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(batch), labels)
        loss.backward()
        optimizer.step()
    if epoch % 6 == 5:
        model.eval()
        with torch.no_grad():
            accuracy = (model(features[test]).argmax(1) == species[test]).float().mean().item()
        print(f"epoch {epoch:2d}  loss {loss.item():.4f}  test accuracy {accuracy:.3f}")
