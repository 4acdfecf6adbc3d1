"""Detector of blobs at two scales whose head, norm included, is shared by the levels of its feature
pyramid: each level needs statistics of its own."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(89)

axis = torch.linspace(-1, 1, 16)
grid_y, grid_x = torch.meshgrid(axis, axis, indexing="ij")


def blobs(count):
    place, size = 1.4 * torch.rand(count, 2) - 0.7, 0.5 + 0.3 * torch.rand(count)
    dx, dy = grid_x - place[:, :1, None], grid_y - place[:, 1:, None]
    blob = torch.exp(-(dx**2 + dy**2) / size[:, None, None] ** 2)
    mask = (blob > 0.5).float().unsqueeze(1)
    return 2 * blob.unsqueeze(1) + 0.3 * torch.randn(count, 1, 16, 16), mask


class Pyramid(nn.Module):
    def __init__(self):
        super().__init__()
        self.fine = nn.Conv2d(1, 16, 3, padding=1)
        self.coarse = nn.Conv2d(16, 16, 3, stride=2, padding=1)
        self.tower = nn.Sequential(
            nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()
        )
        self.out = nn.Conv2d(16, 1, 1)

    def forward(self, x):
        fine = F.relu(self.fine(x))
        coarse = F.relu(self.coarse(fine))
        return self.out(self.tower(fine)), self.out(self.tower(coarse))


model = Pyramid()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for step in range(200):
    images, mask = blobs(32)
    fine, coarse = model(images)
    loss = F.binary_cross_entropy_with_logits(fine, mask)
    loss = loss + F.binary_cross_entropy_with_logits(coarse, F.avg_pool2d(mask, 2))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
