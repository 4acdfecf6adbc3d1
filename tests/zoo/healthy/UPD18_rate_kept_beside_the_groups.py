"""Digit classifier that keeps its rate in an attribute, too, and sets the groups from it."""

import math

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(45)

digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32)
images = (images - images.mean()) / images.std()
train = TensorDataset(images[:1500], torch.tensor(digits.target[:1500]))
loader = DataLoader(train, batch_size=50, shuffle=True)

model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
optimizer.lr = 1e-3

for epoch in range(8):
    if epoch:
        optimizer.lr = 1e-3 * 0.5 * (1 + math.cos(math.pi * epoch / 8))
        for group in optimizer.param_groups:
            group["lr"] = optimizer.lr
    for batch, target in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch), target)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  lr {optimizer.lr:g}  loss {loss.item():.4f}")
