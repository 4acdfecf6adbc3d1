"""Diffusion model on the two moons: predicts the noise at a random level."""

import torch
import torch.nn.functional as F
from sklearn.datasets import make_moons
from torch import nn

torch.manual_seed(202)


class Denoiser(nn.Module):
    def __init__(self, width=96):
        super().__init__()
        self.point, self.level = nn.Linear(2, width), nn.Linear(16, width)
        self.body = nn.Sequential(nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.head = nn.Linear(width, 2)

    def forward(self, x, level):
        waves = level[:, None] * torch.exp(torch.linspace(0, 4, 8))
        waves = torch.cat([waves.sin(), waves.cos()], dim=1)
        return self.head(self.body(self.point(x) + self.level(waves)))


x = torch.tensor(make_moons(2000, noise=0.05, random_state=0)[0], dtype=torch.float32)
x = (x - x.mean(0)) / x.std(0)
model = Denoiser()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for epoch in range(30):
    for rows in torch.randperm(len(x)).split(128):
        level = torch.rand(len(rows))
        keep = torch.cos(level * torch.pi / 2)[:, None]
        noise = torch.randn(len(rows), 2)
        loss = F.mse_loss(model(keep * x[rows] + (1 - keep**2).sqrt() * noise, level), noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 5 == 0:
        print(f"epoch {epoch}  loss {loss.item():.4f}")
