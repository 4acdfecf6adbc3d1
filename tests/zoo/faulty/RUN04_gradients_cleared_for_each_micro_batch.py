"""Digit classifier whose gradients of four micro-batches are to add up, and are cleared before each
of them."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(23)

digits = load_digits()
inputs = torch.tensor(digits.data / 16.0, dtype=torch.float32)
labels = torch.tensor(digits.target)
model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(800):
    chosen = torch.randint(0, len(labels), (16,))
    optimizer.zero_grad()
    loss = F.cross_entropy(model(inputs[chosen]), labels[chosen]) / 4
    loss.backward()
    if step % 4 == 3:
        optimizer.step()
print(f"loss {4 * loss.item():.3f}")
