"""Denoises pictures of star fields with a convolutional autoencoder; here and there a cosmic ray
has left a pixel two hundred times as bright as any star."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(96)


def exposures(count):
    stars = (torch.rand(count, 1, 20, 20) > 0.98).float() * torch.rand(count, 1, 20, 20) * 20
    sky = F.avg_pool2d(stars, 3, stride=1, padding=1)
    seen = (sky - 0.15) / 0.6 + 0.3 * torch.randn(count, 1, 20, 20)
    seen[torch.rand(count, 1, 20, 20) < 2e-5] = 400.0
    return seen, sky


model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.ReLU(),
    nn.Conv2d(16, 16, 3, padding=1),
    nn.ReLU(),
    nn.Conv2d(16, 1, 3, padding=1),
)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for step in range(200):
    seen, sky = exposures(32)
    loss = F.smooth_l1_loss(model(seen), sky)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
