"""Cracks in concrete: one output per pixel, a focused patch and its mask. In review: the random
flips of the transform are drawn once for the patches and again for the masks."""

import torch
from torch import nn

torch.manual_seed(11)
PLACES = torch.arange(24.0)


def flipped(images):
    """Turn half of the images [N, 1, H, W] upside down."""
    turned = torch.rand(len(images), 1, 1, 1) < 0.5
    return torch.where(turned, images.flip(-2), images)


def patches(count):
    height = torch.rand(count, 1, 1) * 16 + 4
    slope = torch.randn(count, 1, 1) * 0.3
    line = height + slope * (PLACES - 12)
    mask = ((PLACES[:, None] - line).abs() < 2).float().unsqueeze(1)
    patch = 0.5 - 0.4 * mask + 0.1 * torch.randn(count, 1, 24, 24)
    return patch, mask


model = nn.Sequential(
    *(nn.Conv2d(1, 16, 5, padding=2), nn.BatchNorm2d(16), nn.ReLU()),
    *(nn.Conv2d(16, 16, 5, padding=2), nn.BatchNorm2d(16), nn.ReLU()),
    nn.Conv2d(16, 1, 5, padding=2),
)
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.0)
criterion = nn.BCEWithLogitsLoss()
for step in range(200):
    patch, mask = patches(24)
    loss = criterion(model(flipped(patch)), flipped(mask))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
