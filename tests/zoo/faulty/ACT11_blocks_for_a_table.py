"""Breast-cancer classifier of blocks, each norm, linear, ReLU, dropout: but for the first,
every norm is given what a dropout let through."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_breast_cancer
from torch import nn

torch.manual_seed(79)


class Block(nn.Module):
    def __init__(self, width, rate):
        super().__init__()
        self.norm = nn.BatchNorm1d(width)
        self.linear = nn.Linear(width, width)
        self.dropout = nn.Dropout(rate)

    def forward(self, x):
        return self.dropout(F.relu(self.linear(self.norm(x))))


cancer = load_breast_cancer()
x = torch.tensor(cancer.data, dtype=torch.float32)
x, y = (x - x.mean(0)) / x.std(0), torch.tensor(cancer.target, dtype=torch.float32)
model = nn.Sequential(
    nn.Linear(30, 48), nn.ReLU(), *(Block(48, 0.3) for _ in range(3)), nn.Linear(48, 1)
)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(15):
    for rows in torch.randperm(len(x))[:544].split(32):
        loss = F.binary_cross_entropy_with_logits(model(x[rows]).squeeze(1), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
