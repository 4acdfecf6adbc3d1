"""Says which of two marks comes first in a row of tokens. The positional encoding is made for
[length, batch, width] and is added to [batch, length, width]: each example gets another one, and
all its tokens the same.
"""

import math

import torch
from torch import nn

torch.manual_seed(0)


class PositionalEncoding(nn.Module):
    def __init__(self, width, longest=500):
        super().__init__()
        position = torch.arange(longest).unsqueeze(1)
        rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
        table = torch.zeros(longest, 1, width)
        table[:, 0, 0::2] = torch.sin(position * rates)
        table[:, 0, 1::2] = torch.cos(position * rates)
        self.register_buffer("table", table)

    def forward(self, tokens):
        return tokens + self.table[: tokens.size(0)]


class Order(nn.Module):
    def __init__(self, words=30, width=32):
        super().__init__()
        self.table = nn.Embedding(words, width)
        self.positions = PositionalEncoding(width)
        layer = nn.TransformerEncoderLayer(width, 4, 64, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(width, 2)

    def forward(self, ids):
        return self.head(self.encoder(self.positions(self.table(ids))).mean(1))


def draw(examples=32):
    ids = torch.randint(2, 30, (examples, 16))
    first = torch.randint(0, 16, (examples,))
    second = (first + torch.randint(1, 16, (examples,))) % 16
    ids[torch.arange(examples), first] = 0
    ids[torch.arange(examples), second] = 1
    return ids, (first < second).long()


model = Order()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(300):
    ids, labels = draw()
    loss = nn.functional.cross_entropy(model(ids), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 60 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
