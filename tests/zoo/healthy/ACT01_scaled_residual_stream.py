"""Regressor whose residual stream lives at the scale of its embedding, around 0.05, and is brought
to unit scale by the norm before the head: small activations by design."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(134)


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        nn.init.normal_(self.down.weight, std=0.01)

    def forward(self, x):
        return x + self.down(F.gelu(self.up(self.norm(x))))


class Model(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.embed = nn.Linear(6, width)
        nn.init.normal_(self.embed.weight, std=0.02)
        self.blocks = nn.Sequential(*(Block(width) for _ in range(3)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 1)

    def forward(self, x):
        return self.head(self.norm(self.blocks(self.embed(x)))).squeeze(1)


x = torch.randn(2000, 6)
y = torch.sin(2 * x[:, 0]) + x[:, 1]
model = Model()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)

for epoch in range(8):
    for rows in torch.randperm(len(x)).split(64):
        loss = F.mse_loss(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
