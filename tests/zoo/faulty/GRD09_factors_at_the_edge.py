"""Factorises a matrix of word counts by gradient descent on all of it at once, with the largest
rate that did not blow up on a sample: every step jumps to the other side of the valley."""

import torch
from torch import nn

torch.manual_seed(119)
WORDS, TEXTS, RANK = 60, 90, 5

counts = torch.randn(WORDS, RANK) @ torch.randn(RANK, TEXTS) + 0.3 * torch.randn(WORDS, TEXTS)
counts = counts / counts.std()


class Factors(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Parameter(0.5 * torch.randn(WORDS, RANK))
        self.texts = nn.Linear(RANK, TEXTS)

    def forward(self):
        return self.texts(self.words)


factors = Factors()
optimizer = torch.optim.SGD(factors.parameters(), lr=60.0)

for step in range(250):
    loss = (factors() - counts).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
