"""Restores images by a convolutional network under float16 autocast. The loss is a mean over all
pixels, its gradient at each one is below what float16 can hold, and nothing scales it."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(147)


class Restorer(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(1, 16, 3, stride=2, padding=1)
        self.mid = nn.Conv2d(16, 16, 3, padding=1)
        self.up = nn.ConvTranspose2d(16, 1, 4, stride=2, padding=1)

    def forward(self, image):
        return self.up(F.gelu(self.mid(F.gelu(self.down(image)))))


def images(count):
    coarse = torch.randn(count, 1, 12, 12)
    clean = 0.05 * F.interpolate(coarse, size=96, mode="bicubic", align_corners=False)
    return clean + 0.02 * torch.randn_like(clean), clean


model = Restorer()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for step in range(60):
    noisy, clean = images(16)
    with torch.autocast("cpu", torch.float16):
        restored = model(noisy)
    loss = F.mse_loss(restored.float(), clean)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 6 == 0:
        print(f"step {step:3d}  loss {loss.item():.6f}")
