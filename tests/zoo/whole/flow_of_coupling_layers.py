"""Normalising flow: six affine coupling layers map two rings to a Gaussian; the loss is a negative
log-likelihood and may well be negative."""

import math

import torch
from torch import nn

torch.manual_seed(307)


class Coupling(nn.Module):
    def __init__(self, flip):
        super().__init__()
        self.flip = flip
        self.net = nn.Sequential(nn.Linear(1, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU())
        self.out = nn.Linear(48, 2)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x):
        kept, moved = (x[:, 1:], x[:, :1]) if self.flip else (x[:, :1], x[:, 1:])
        scale, shift = self.out(self.net(kept)).chunk(2, 1)
        scale = torch.tanh(scale)
        moved = moved * scale.exp() + shift
        parts = (moved, kept) if self.flip else (kept, moved)
        return torch.cat(parts, 1), scale.sum(1)


class Flow(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(Coupling(bool(n % 2)) for n in range(6))

    def forward(self, x):
        total = 0
        for layer in self.layers:
            x, log_scale = layer(x)
            total = total + log_scale
        return -0.5 * x.square().sum(1) - math.log(2 * math.pi) + total


def rings(count):
    angle = 2 * math.pi * torch.rand(count)
    radius = torch.where(torch.rand(count) < 0.5, 0.6, 1.6) + 0.05 * torch.randn(count)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], 1)


model = Flow()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for step in range(250):
    loss = -model(rings(128)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
