"""Finds the largest of ten numbers by attention, whose heads `view` cuts out of the positions."""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(5)


class Attention(nn.Module):
    def __init__(self, width=32, heads=4):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def forward(self, x):
        batch, length, width = x.shape
        parts = [
            layer(x).view(batch, self.heads, length, width // self.heads)
            for layer in (self.query, self.key, self.value)
        ]
        mixed = functional.scaled_dot_product_attention(*parts)
        return self.out(mixed.reshape(batch, length, width))


class Finder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(1, 32)
        self.attention = Attention()
        self.score = nn.Sequential(nn.ReLU(), nn.Linear(32, 1))

    def forward(self, x):
        hidden = self.embed(x)
        return self.score(hidden + self.attention(hidden)).squeeze(-1)


model = Finder()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for step in range(250):
    x = torch.randn(48, 10, 1)
    loss = functional.cross_entropy(model(x), x.squeeze(-1).argmax(1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
