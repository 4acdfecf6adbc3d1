"""A small U-Net that segments blobs in noise, with batch norm, skip connections and a Dice term."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(72)
GRID = torch.stack(torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij"))


def scene(count):
    centre = torch.rand(count, 2, 1, 1) * 20 + 6
    radius = torch.rand(count, 1, 1) * 4 + 5
    mask = ((GRID - centre).square().sum(1).sqrt() < radius).float().unsqueeze(1)
    return mask + 0.8 * torch.randn(count, 1, 32, 32), mask


def block(size_in, size_out):
    return nn.Sequential(
        nn.Conv2d(size_in, size_out, 3, padding=1, bias=False), nn.BatchNorm2d(size_out), nn.ReLU()
    )


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = block(1, 8), block(8, 16)
        self.up = block(24, 8)
        self.out = nn.Conv2d(8, 1, 1)

    def forward(self, x):
        fine = self.one(x)
        coarse = self.two(F.max_pool2d(fine, 2))
        return self.out(self.up(torch.cat([fine, F.interpolate(coarse, scale_factor=2)], 1)))


model = UNet()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for step in range(120):
    model.train()
    image, mask = scene(16)
    logits = model(image)
    share = logits.sigmoid()
    dice = 1 - (2 * (share * mask).sum() + 1) / (share.sum() + mask.sum() + 1)
    loss = F.binary_cross_entropy_with_logits(logits, mask) + dice
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 29:
        model.eval()
        with torch.no_grad():
            image, mask = scene(64)
            found = (model(image) > 0).float()
        print(f"step {step}  loss {loss.item():.4f}  {(found == mask).float().mean().item():.3f}")
