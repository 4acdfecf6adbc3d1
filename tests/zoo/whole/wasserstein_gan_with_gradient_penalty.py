"""Wasserstein GAN of a ring: five steps of the critic with a gradient penalty for each of the
generator."""

import math

import torch
from torch import nn

torch.manual_seed(314)

generator = nn.Sequential(
    nn.Linear(4, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 2)
)
critic = nn.Sequential(
    *(nn.Linear(2, 48), nn.LeakyReLU(0.2), nn.Linear(48, 48), nn.LeakyReLU(0.2), nn.Linear(48, 1))
)
optimizers = [
    torch.optim.Adam(net.parameters(), lr=1e-3, betas=(0.5, 0.9)) for net in (generator, critic)
]


def ring(count):
    angle = 2 * math.pi * torch.rand(count, 1)
    return torch.cat([angle.cos(), angle.sin()], 1) + 0.05 * torch.randn(count, 2)


for step in range(360):
    made = generator(torch.randn(64, 4))
    if step % 6 == 5:
        loss = -critic(made).mean()
    else:
        true, made = ring(64), made.detach()
        between = torch.lerp(true, made, torch.rand(64, 1)).requires_grad_()
        slope = torch.autograd.grad(critic(between).sum(), between, create_graph=True)[0]
        penalty = (slope.norm(dim=1) - 1).square().mean()
        loss = critic(made).mean() - critic(true).mean() + 10 * penalty
    optimizer = optimizers[step % 6 != 5]
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 60 == 59:
        print(f"step {step}  loss {loss.item():.4f}")
