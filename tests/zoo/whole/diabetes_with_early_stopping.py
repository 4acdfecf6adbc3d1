"""Regression on scikit-learn's diabetes set, standardised, with early stopping on a validation
set."""

import copy

import torch
import torch.nn.functional as F
from sklearn.datasets import load_diabetes
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(71)

data = load_diabetes()
x = torch.tensor(data.data, dtype=torch.float32)
y = torch.tensor(data.target, dtype=torch.float32).unsqueeze(1)
order = torch.randperm(len(x))
train, valid = order[:330], order[330:]
x = (x - x[train].mean(0)) / x[train].std(0)
y = (y - y[train].mean()) / y[train].std()
loader = DataLoader(TensorDataset(x[train], y[train]), batch_size=32, shuffle=True)

model = nn.Sequential(nn.Linear(10, 24), nn.ReLU(), nn.Dropout(0.1), nn.Linear(24, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-4)
best, kept, patience = float("inf"), None, 0

for epoch in range(60):
    model.train()
    for batch, target in loader:
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch), target)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        value = F.mse_loss(model(x[valid]), y[valid]).item()
    patience = 0 if value < best else patience + 1
    if value < best:
        best, kept = value, copy.deepcopy(model.state_dict())
    print(f"epoch {epoch}  training {loss.item():.3f}  validation {value:.3f}")
    if patience == 5:
        break

model.load_state_dict(kept)
