"""Adapters on loaded layers that are frozen, and a new head that is trained with them."""

import torch
from torch import nn
from torch.distributions import Laplace
from torch.nn.functional import cross_entropy

torch.manual_seed(318)


class Adapted(nn.Module):
    """A layer with loaded weights, and an adapter of low rank beside it."""

    def __init__(self, width):
        super().__init__()
        self.base = nn.Linear(width, width).requires_grad_(False)
        self.down, self.up = nn.Linear(width, 4, bias=False), nn.Linear(4, width, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x):
        return self.base(x) + self.up(self.down(x))


model = nn.Sequential()
for place in range(3):
    model.append(Adapted(32) if place < 2 else nn.Linear(32, 32).requires_grad_(False))
    model.append(nn.GELU())
for layer in (model[0].base, model[2].base, model[4]):  # the weights of a training elsewhere
    layer.weight.data = Laplace(0.0, 0.2).sample((32, 32))
    layer.bias.data = 0.1 * torch.randn(32)
head = nn.Linear(32, 8)
nn.init.normal_(head.weight, std=0.02)
nn.init.zeros_(head.bias)
model.append(head)

optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
centres = torch.randn(8, 32)
for _ in range(200):
    y = torch.randint(8, (32,))
    loss = cross_entropy(model(centres[y] + 0.5 * torch.randn(32, 32)), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
