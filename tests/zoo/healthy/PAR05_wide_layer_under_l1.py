"""Digit classifier with a mild L1 penalty: many single weights near zero, no whole filter."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(154)

digits = load_digits()
x = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
x = (x - x.mean()) / x.std()
loader = DataLoader(TensorDataset(x, torch.tensor(digits.target)), batch_size=64, shuffle=True)

model = nn.Sequential(
    *(nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Conv2d(16, 24, 3), nn.ReLU(), nn.Flatten()),
    nn.Linear(24 * 16, 10),
)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)


def objective(batch, labels):
    penalty = sum(p.abs().sum() for p in model.parameters() if p.dim() > 1)
    return F.cross_entropy(model(batch), labels) + 1e-4 * penalty


for epoch in range(6):
    for batch, labels in loader:
        loss = objective(batch, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
