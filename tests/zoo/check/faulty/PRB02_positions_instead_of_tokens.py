"""A language model whose positions replace its token embeddings instead of being added."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
VOCABULARY, LENGTH = 24, 16
walk = torch.cumsum(torch.randint(1, 3, (4000,)), 0) % VOCABULARY


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, 32)
        self.positions = nn.Embedding(LENGTH, 32)
        self.body = nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Linear(64, VOCABULARY))

    def forward(self, tokens):
        x = self.tokens(tokens)
        x = self.positions(torch.arange(LENGTH)).expand_as(x)
        return self.body(x)


model = Model()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for _ in range(250):
    starts = torch.randint(0, len(walk) - LENGTH - 1, (32,))
    x = torch.stack([walk[s : s + LENGTH] for s in starts])
    y = torch.stack([walk[s + 1 : s + LENGTH + 1] for s in starts])
    loss = F.cross_entropy(model(x).reshape(-1, VOCABULARY), y.reshape(-1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
