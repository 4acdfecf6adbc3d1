"""Reads digits of which a few are frequent; weights make the rare ones count as much."""

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(78)
digits = load_digits()
share = torch.linspace(0.15, 1.0, 10)  # of the examples that are kept
kept = torch.rand(len(digits.target)) < share[torch.tensor(digits.target)]
images = torch.tensor(digits.data, dtype=torch.float32)[kept] / 8 - 1
labels = torch.tensor(digits.target)[kept]

weights = len(labels) / (10 * labels.bincount())
loss_function = nn.CrossEntropyLoss(weight=weights)

model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for epoch in range(12):
    for rows in torch.randperm(len(images)).split(32):
        loss = loss_function(model(images[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
