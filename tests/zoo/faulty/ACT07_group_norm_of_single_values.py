"""Classifies textures. Behind the global pooling stands a group norm with one channel per group:
each group is then one number, which the norm takes from itself. In review: `num_groups` of a layer
that once came before the pooling."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(77)


class TextureNet(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.one = nn.Conv2d(1, 16, 3, padding=1)
        self.two = nn.Conv2d(16, width, 3, stride=2, padding=1)
        self.norm = nn.GroupNorm(width, width)
        self.out = nn.Linear(width, 3)

    def forward(self, x):
        x = F.silu(self.two(F.silu(self.one(x))))
        x = self.norm(F.adaptive_avg_pool2d(x, 1))
        return self.out(x.flatten(1))


def textures(count):
    kind = torch.randint(3, (count,))
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    stripes = torch.stack([rows, columns, rows + columns])[kind]
    shift = 6.28 * torch.rand(count, 1, 1)
    return (1.6 * stripes + shift).sin().unsqueeze(1) + 0.3 * torch.randn(count, 1, 16, 16), kind


model = TextureNet()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

for step in range(200):
    images, kind = textures(32)
    loss = F.cross_entropy(model(images), kind)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
