"""Digit classifier whose accuracy is taken with argmax(0): over the examples, not over the
classes."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import nntrace

torch.manual_seed(23)

digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32)
images = (images - images.mean()) / images.std()
loader = DataLoader(TensorDataset(images, torch.tensor(digits.target)), batch_size=64, shuffle=True)

model = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(12):
    right = 0
    for x, y in loader:
        optimizer.zero_grad()
        logits = model(x)
        loss = nn.functional.cross_entropy(logits, y)
        loss.backward()
        optimizer.step()
        right += (logits.argmax(0)[y] == y).sum().item()
    nntrace.log(accuracy=right / len(images))
    print(f"epoch {epoch}  loss {loss.item():.4f}  accuracy {right / len(images):.3f}")
