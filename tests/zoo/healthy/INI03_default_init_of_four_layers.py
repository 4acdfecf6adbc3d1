"""Digit classifier of four hidden layers as PyTorch initialises them: the signal shrinks by a
factor of two per layer, and Adam trains it all the same."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(131)

digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32)
x = (x - x.mean()) / x.std()
loader = DataLoader(TensorDataset(x, torch.tensor(digits.target)), batch_size=64, shuffle=True)

model = nn.Sequential(
    *(nn.Linear(64, 96), nn.Tanh(), nn.Linear(96, 96), nn.Tanh()),
    *(nn.Linear(96, 96), nn.Tanh(), nn.Linear(96, 96), nn.Tanh()),
    nn.Linear(96, 10),
)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for epoch in range(6):
    for batch, labels in loader:
        loss = F.cross_entropy(model(batch), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
