"""The same kind of detector: the levels share the head's convolution, each has its own norm."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(90)

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
        self.tower = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(16) for _ in range(2))
        self.out = nn.Conv2d(16, 1, 1)

    def forward(self, x):
        fine = F.relu(self.fine(x))
        levels = fine, F.relu(self.coarse(fine))
        pairs = zip(self.norms, levels, strict=True)
        return [self.out(F.relu(norm(self.tower(level)))) for norm, level in pairs]


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
