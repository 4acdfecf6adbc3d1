"""Breast-cancer classifier that seeds NumPy and Python but not PyTorch: weights and batch order are
new at each run. In review: a `set_seed` that predates the move to PyTorch."""

import random

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def set_seed(seed):
    random.seed(seed)
    np.random.seed(seed)


set_seed(27)
cancer = load_breast_cancer()
features = (cancer.data - cancer.data.mean(0)) / cancer.data.std(0)
dataset = TensorDataset(torch.tensor(features).float(), torch.tensor(cancer.target).float())
loader = DataLoader(dataset, batch_size=32, shuffle=True)

model = nn.Sequential(nn.Linear(30, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-3)
criterion = nn.BCEWithLogitsLoss()

for epoch in range(15):
    for batch, benign in loader:
        optimizer.zero_grad()
        loss = criterion(model(batch).squeeze(1), benign)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch:2d}  loss {loss.item():.4f}")
