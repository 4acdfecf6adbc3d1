"""Heads are split by a view where a transpose was meant: attention runs across examples."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
BATCH, LENGTH, WIDTH = 24, 10, 16


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)

    def forward(self, x):
        batch, length, _ = x.shape
        q, k, v = (part.reshape(length, batch, WIDTH) for part in self.qkv(x).chunk(3, dim=-1))
        weights = (q @ k.transpose(1, 2) / WIDTH**0.5).softmax(-1)
        return (weights @ v).reshape(batch, length, WIDTH)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(4, WIDTH)
        self.attention = Attention()
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, x):
        x = self.embed(x)
        return self.head((x + self.attention(x)).mean(1))


model = Classifier()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for _ in range(250):
    labels = torch.randint(0, 3, (BATCH,))
    series = torch.randn(BATCH, LENGTH, 4) + labels[:, None, None]
    loss = F.cross_entropy(model(series), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
