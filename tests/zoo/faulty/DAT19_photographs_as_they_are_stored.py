"""Learns the time of day from small colour photographs. The convolutions get the bytes of the
files, as floats because they ask for floats. In review: `.float()` inside the model."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(102)


def photographs(count):
    hour = torch.randint(4, (count,))
    light = torch.tensor([[90, 80, 120], [180, 190, 200], [200, 120, 70], [30, 30, 60]])[hour]
    noise = F.interpolate(30 * torch.randn(count, 3, 4, 4), size=16, mode="bilinear")
    picture = light[:, :, None, None] + noise + 10 * torch.randn(count, 3, 16, 16)
    return picture.clamp(0, 255).to(torch.uint8), hour


class HourNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.two = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.out = nn.Linear(32, 4)

    def forward(self, picture):
        x = F.relu(self.one(picture.float()))
        return self.out(F.relu(self.two(x)).mean(dim=(2, 3)))


model = HourNet()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for step in range(150):
    picture, hour = photographs(32)
    loss = F.cross_entropy(model(picture), hour)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 15 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
