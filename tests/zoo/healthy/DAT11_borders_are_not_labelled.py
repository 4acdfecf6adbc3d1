"""Segments parcels of land in three kinds. Nobody can say where one ends to the pixel, so a border
around each is labelled 255, which the loss leaves out."""

import torch
from torch import nn

torch.manual_seed(23)
GRID = torch.stack(torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij"))


def parcels(count):
    centre = torch.rand(count, 2, 1, 1) * 20 + 6
    kind = torch.randint(1, 3, (count, 1, 1))
    away = (GRID - centre).abs().amax(1)
    label = torch.where(away < 6, kind, 0)
    picture = 0.7 * label.unsqueeze(1) - 0.5 + 0.3 * torch.randn(count, 1, 32, 32)
    return picture, torch.where((away - 6).abs() < 1.5, 255, label)


model = nn.Sequential(
    *(nn.Conv2d(1, 16, 5, padding=2), nn.BatchNorm2d(16), nn.ReLU()),
    *(nn.Conv2d(16, 16, 5, padding=2), nn.BatchNorm2d(16), nn.ReLU()),
    nn.Conv2d(16, 3, 1),
)
criterion = nn.CrossEntropyLoss(ignore_index=255)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(200):
    picture, label = parcels(16)
    loss = criterion(model(picture), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
