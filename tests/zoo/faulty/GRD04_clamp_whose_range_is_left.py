"""Regressor whose features pass a clamp to [0, 1] meant for another scale: they lie far beyond, so
the layers before it get a gradient of exactly zero. In review: a clamp, put in against outliers."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(45)


class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.encode = nn.Linear(10, 32)
        self.mix = nn.Linear(32, 32)
        self.beside = nn.Linear(10, 32)
        self.head = nn.Linear(32, 1)

    def forward(self, x):
        features = 50 + self.mix(torch.tanh(self.encode(x)))
        return self.head(features.clamp(0, 1) * torch.tanh(self.beside(x))).squeeze(1)


x = torch.randn(2000, 10)
y = x[:, 0] * x[:, 1] + torch.sin(x[:, 2])
model = Regressor()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(8):
    for rows in torch.randperm(len(x)).split(64):
        loss = F.mse_loss(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
