"""Character model whose gradient norm is limited to five: outliers alone would meet it."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(147)

TEXT = "the quick brown fox jumps over the lazy dog and runs away from the old grey wolf " * 20
letters = sorted(set(TEXT))
codes = torch.tensor([letters.index(c) for c in TEXT])


class Model(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        self.embedding = nn.Embedding(len(letters), 16)
        self.cell = nn.GRU(16, width, batch_first=True)
        self.head = nn.Linear(width, len(letters))

    def forward(self, x):
        return self.head(self.cell(self.embedding(x))[0])


model = Model()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

for step in range(250):
    starts = torch.randint(0, len(codes) - 21, (32,))
    window = codes[starts[:, None] + torch.arange(21)]
    loss = F.cross_entropy(model(window[:, :-1]).transpose(1, 2), window[:, 1:])
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
