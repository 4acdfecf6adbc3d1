"""The same blobs in batches of two, with a norm over groups of channels."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(60)
GRID = torch.stack(torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing="ij"))


def scene(count):
    centre = torch.rand(count, 2, 1, 1) * 16 + 4
    radius = torch.rand(count, 1, 1) * 3 + 4
    mask = ((GRID - centre).square().sum(1).sqrt() < radius).float()
    return (mask + 0.5 * torch.randn(count, 24, 24)).unsqueeze(1), mask


model = nn.Sequential(
    *(nn.Conv2d(1, 12, 3, padding=1), nn.GroupNorm(3, 12), nn.ReLU()),
    *(nn.Conv2d(12, 12, 3, padding=1), nn.GroupNorm(3, 12), nn.ReLU()),
    nn.Conv2d(12, 1, 1),
)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for step in range(200):
    image, mask = scene(2)
    loss = F.binary_cross_entropy_with_logits(model(image).squeeze(1), mask)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
