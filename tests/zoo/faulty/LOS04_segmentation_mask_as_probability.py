"""Finds bright blobs in noise with a small fully convolutional network, whose sigmoid was kept when
the loss was exchanged for the numerically stable one."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(4)
GRID = torch.stack(torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing="ij"))


def scene(count):
    centre = torch.rand(count, 2, 1, 1) * 16 + 4
    radius = torch.rand(count, 1, 1) * 3 + 4
    mask = ((GRID - centre).square().sum(1).sqrt() < radius).float()
    return (mask + 0.7 * torch.randn(count, 24, 24)).unsqueeze(1), mask


class Segmenter(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(1, 12, 5, padding=2)
        self.mid = nn.Conv2d(12, 12, 3, padding=1)
        self.out = nn.Conv2d(12, 1, 1)

    def forward(self, image):
        features = F.relu(self.mid(F.relu(self.down(image))))
        return torch.sigmoid(self.out(features)).squeeze(1)


model = Segmenter()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for step in range(150):
    image, mask = scene(16)
    loss = F.binary_cross_entropy_with_logits(model(image), mask)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
