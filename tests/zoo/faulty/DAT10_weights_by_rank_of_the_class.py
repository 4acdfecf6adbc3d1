"""Reads digits of which a few are frequent; the weights of the classes stand in another order."""

from collections import Counter

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(77)
digits = load_digits()
share = torch.linspace(0.15, 1.0, 10)  # of the examples that are kept
kept = torch.rand(len(digits.target)) < share[torch.tensor(digits.target)]
images = torch.tensor(digits.data, dtype=torch.float32)[kept] / 8 - 1
labels = torch.tensor(digits.target)[kept]

counts = Counter(labels.tolist())
weights = torch.tensor([len(labels) / (10 * count) for _, count in counts.most_common()])
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
