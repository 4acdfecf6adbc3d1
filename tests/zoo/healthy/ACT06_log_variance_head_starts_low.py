"""Regressor with a learnt variance whose second head starts at a log variance of -1: off zero, by
design, and no hidden layer."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(135)


class Gaussian(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(4, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )
        self.log_variance = nn.Linear(width, 1)
        self.mean = nn.Linear(width, 1)
        nn.init.zeros_(self.log_variance.weight)
        nn.init.constant_(self.log_variance.bias, -1.0)

    def forward(self, x):
        hidden = self.body(x)
        return self.mean(hidden).squeeze(1), self.log_variance(hidden).squeeze(1)


x = torch.randn(3000, 4)
y = torch.sin(2 * x[:, 0]) + x[:, 1] + (0.1 + 0.4 * (x[:, 2] > 0)) * torch.randn(3000)
model = Gaussian()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for epoch in range(8):
    for rows in torch.randperm(len(x)).split(64):
        mean, log_variance = model(x[rows])
        loss = F.gaussian_nll_loss(mean, y[rows], log_variance.exp())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
