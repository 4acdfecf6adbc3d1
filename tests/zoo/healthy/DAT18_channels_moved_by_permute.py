"""The same pictures, with channels moved by permute, twice as wide as high."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(65)
GRID = torch.stack(torch.meshgrid(torch.arange(24.0), torch.arange(48.0), indexing="ij"))


def pictures(count):
    centre = torch.rand(count, 2, 1, 1) * 12 + 6
    blob = torch.exp(-(GRID - centre).square().sum(1) / 30).unsqueeze(3)
    ground, colour = torch.rand(2, count, 1, 1, 3)
    image = ground * (1 - blob) + colour * blob + 0.02 * torch.randn(count, 24, 48, 3)
    return 3 * (image - 0.5), colour.flatten(1).argmax(1)


model = nn.Sequential(
    *(nn.Conv2d(3, 16, 5, stride=2), nn.ReLU(), nn.Conv2d(16, 16, 3, stride=2), nn.ReLU()),
    *(nn.Flatten(), nn.Linear(16 * 4 * 10, 3)),
)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for step in range(150):
    image, label = pictures(32)
    loss = F.cross_entropy(model(image.permute(0, 3, 1, 2)), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
