"""Regression that also tells its own standard deviation, by a Gaussian likelihood. Where the data
are exact the deviation shrinks without a floor, and a point that is off then brings a gradient of
thousands. In review: `exp` of an output, the square of which is divided by."""

import torch
from torch import nn

torch.manual_seed(112)


class Gaussian(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh())
        self.mean = nn.Linear(48, 1)
        self.log_deviation = nn.Linear(48, 1)

    def forward(self, x):
        features = self.body(x)
        return self.mean(features), self.log_deviation(features)


def measurements(count):
    x = torch.rand(count, 2) * 4 - 2
    y = x[:, :1].sin()
    off = (torch.rand(count, 1) < 0.0008).float()
    return x, y + 20 * off * torch.randn(count, 1)


model = Gaussian()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for step in range(600):
    x, y = measurements(64)
    mean, log_deviation = model(x)
    error = (y - mean) / log_deviation.exp()
    loss = (log_deviation + error.square() / 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 60 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
