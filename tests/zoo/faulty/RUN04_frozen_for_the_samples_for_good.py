"""Energy model that is frozen while its samples follow the gradients of the energy, as only these
need gradients: nobody thaws it for its own step."""

import torch
from torch import nn

torch.manual_seed(311)
SAMPLES, STEPS, RATE = 32, 10, 0.2

angle = torch.rand(960) * 6.28
ring = torch.stack([angle.cos(), angle.sin()], dim=1) + 0.1 * torch.randn(960, 2)
energy = nn.Sequential(nn.Linear(2, 32), nn.SiLU(), nn.Linear(32, 32), nn.SiLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(energy.parameters(), lr=1e-3)


def langevin(points):
    for weights in energy.parameters():
        weights.requires_grad = False
    points = points.detach().requires_grad_(True)
    for _ in range(STEPS):
        (uphill,) = torch.autograd.grad(energy(points).sum(), points)
        points.data.add_(-RATE * uphill + 0.05 * torch.randn_like(points))
    return points


chains = torch.rand(SAMPLES, 2) * 4 - 2
for epoch in range(4):
    for rows in torch.randperm(len(ring)).split(SAMPLES):
        chains = langevin(chains).clamp(-2, 2)
        real, drawn = energy(ring[rows]), energy(chains)
        loss = real.mean() - drawn.mean() + 0.1 * (real**2 + drawn**2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
