"""Sees whether one batch can be overfitted, and trains a fresh model on all of them then."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(47)


def build():
    model = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 10))
    return model, torch.optim.Adam(model.parameters(), lr=2e-3)


def step(model, optimizer, images, labels):
    loss = nn.functional.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32) / 16.0 - 0.3
loader = DataLoader(TensorDataset(images, torch.tensor(digits.target)), 32, shuffle=True)

model, optimizer = build()
batch = next(iter(loader))
for _ in range(80):
    loss = step(model, optimizer, *batch)
print(f"one batch: loss {loss:.4f}")

model, optimizer = build()
for epoch in range(6):
    for batch in loader:
        loss = step(model, optimizer, *batch)
    print(f"epoch {epoch}  loss {loss:.4f}")
