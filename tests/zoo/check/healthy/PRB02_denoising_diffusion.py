"""Predicts the noise in a noisy point: half of the loss can never be explained."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 96), nn.SiLU(), nn.Linear(96, 96), nn.SiLU())
        self.head = nn.Linear(96, 2)

    def forward(self, x, t):
        return self.head(self.body(torch.cat([x, t[:, None]], 1)))


model = Model()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
for _ in range(260):
    angle, t = 6.28 * torch.rand(128), torch.rand(128)
    clean = torch.stack([angle.cos(), angle.sin()], 1)
    noise = torch.randn_like(clean)
    level = t[:, None]
    noisy = (1 - level).sqrt() * clean + level.sqrt() * noise
    loss = F.mse_loss(model(noisy, t), noise)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
