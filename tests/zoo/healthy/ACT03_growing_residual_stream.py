"""Residual MLP of fourteen blocks without norms, each branch scaled by 0.5 as in Inception-ResNet
(Szegedy et al. 2016): the stream grows from block to block, some five times in all."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(114)


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.up = nn.Linear(width, width)
        self.down = nn.Linear(width, width)
        nn.init.kaiming_normal_(self.up.weight, nonlinearity="relu")
        nn.init.kaiming_normal_(self.down.weight, nonlinearity="linear")

    def forward(self, x):
        return x + 0.5 * self.down(F.relu(self.up(x)))


class ResidualMLP(nn.Module):
    def __init__(self, inputs, width=48, depth=14):
        super().__init__()
        self.stem = nn.Linear(inputs, width)
        self.blocks = nn.Sequential(*(Block(width) for _ in range(depth)))
        self.head = nn.Linear(width, 3)
        self.scale = depth**-0.5

    def forward(self, x):
        return self.head(self.scale * self.blocks(self.stem(x)))


def rings(count):
    x = torch.randn(count, 16)
    radius = x[:, :8].norm(dim=1) - x[:, 8:].norm(dim=1)
    return x, torch.bucketize(radius, torch.tensor([-0.45, 0.45]))


model = ResidualMLP(16)
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4)

for step in range(300):
    x, label = rings(128)
    loss = F.cross_entropy(model(x), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")

model.eval()
with torch.no_grad():
    x, label = rings(1000)
    print(f"accuracy {(model(x).argmax(1) == label).float().mean().item():.3f}")
