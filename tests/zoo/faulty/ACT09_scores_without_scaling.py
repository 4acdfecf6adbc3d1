"""Sequence sorter whose attention scores are multiplied by the square root of the head's width
instead of divided: each row looks at one key. In review: `*` where `/` was meant."""

import math

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(39)


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        batch, length, width = x.shape
        shape = (batch, length, 3, self.heads, width // self.heads)
        q, k, v = self.qkv(x).view(shape).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) * math.sqrt(q.shape[-1])
        mixed = F.softmax(scores, dim=-1) @ v
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))


class Sorter(nn.Module):
    def __init__(self, words=12, length=10, width=64):
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.places = nn.Embedding(length, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.attention = nn.ModuleList(Attention(width, 2) for _ in range(2))
        self.head = nn.Linear(width, words)

    def forward(self, sequence):
        x = self.words(sequence) + self.places(torch.arange(sequence.shape[1]))
        for norm, attention in zip(self.norms, self.attention, strict=True):
            x = x + attention(norm(x) * 2)
        return self.head(x)


model = Sorter()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

for step in range(200):
    sequence = torch.randint(0, 12, (32, 10))
    loss = F.cross_entropy(model(sequence).transpose(1, 2), sequence.sort(dim=1).values)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
