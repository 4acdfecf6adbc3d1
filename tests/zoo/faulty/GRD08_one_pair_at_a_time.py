"""Learns which of two songs a listener prefers, from one comparison per step; the table of answers
was sorted by another column than the table of songs. No two gradients have anything in common."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(118)

songs = torch.randn(4000, 2, 12)
taste = torch.randn(12)
prefers = (songs @ taste).argmax(dim=1)[songs[:, 0, 0].argsort()]


class Preference(nn.Module):
    def __init__(self):
        super().__init__()
        self.hear = nn.Linear(12, 32)
        self.like = nn.Linear(32, 1)

    def forward(self, pair):
        return self.like(F.elu(self.hear(pair))).squeeze(2)


model = Preference()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02)

for step in range(500):
    row = int(torch.randint(4000, ()))
    loss = F.cross_entropy(model(songs[row : row + 1]), prefers[row : row + 1])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
