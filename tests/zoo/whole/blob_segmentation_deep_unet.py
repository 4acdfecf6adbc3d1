"""A deeper U-Net of double convolutions with batch norms, whose biases were left on: the gradient
of the last layer is hundreds of times that of the ones the norms stand behind."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(3)


def double(size_in, size_out):
    layers = []
    for size in (size_in, size_out):
        layers += [nn.Conv2d(size, size_out, 3, padding=1), nn.BatchNorm2d(size_out), nn.ReLU(True)]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    def __init__(self, width=8, levels=3):
        super().__init__()
        sizes = [width * 2**level for level in range(levels + 1)]
        pairs = list(pairwise(sizes))
        self.first = double(1, width)
        self.down = nn.ModuleList(double(fine, coarse) for fine, coarse in pairs)
        self.up = nn.ModuleList(nn.ConvTranspose2d(c, f, 2, stride=2) for f, c in pairs[::-1])
        self.join = nn.ModuleList(double(coarse, fine) for fine, coarse in pairs[::-1])
        self.out = nn.Conv2d(width, 1, 1)

    def forward(self, x):
        x = self.first(x)
        skips = []
        for block in self.down:
            skips.append(x)
            x = block(F.max_pool2d(x, 2))
        for up, join in zip(self.up, self.join, strict=True):
            x = join(torch.cat([skips.pop(), up(x)], 1))
        return self.out(x)


def scenes(count, size=32):
    rows, cols = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    centre = torch.rand(count, 3, 2, 1, 1) * size
    radius = 2 + 4 * torch.rand(count, 3, 1, 1)
    apart = (rows - centre[:, :, 0]).square() + (cols - centre[:, :, 1]).square()
    mask = (apart.sqrt() < radius).any(1).float().unsqueeze(1)
    return mask + 0.5 * torch.randn_like(mask), mask


model = UNet()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for step in range(100):
    image, mask = scenes(16)
    logits = model(image)
    share = logits.sigmoid()
    dice = 1 - 2 * (share * mask).sum() / (share.sum() + mask.sum())
    loss = F.binary_cross_entropy_with_logits(logits, mask) + dice
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
