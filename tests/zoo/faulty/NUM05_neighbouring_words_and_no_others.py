"""Vectors of words, learned from which words stand side by side. The words drawn at random that are
to stay apart were left out: the products of neighbours, and so the steps, grow without end."""

import torch
from torch import nn

torch.manual_seed(860)
WORDS = 120

text = torch.randint(WORDS, (6000,))
text[1::2] = (text[::2] + torch.randint(5, (3000,))) % WORDS

vectors, contexts = nn.Embedding(WORDS, 24), nn.Embedding(WORDS, 24)
for table in (vectors, contexts):
    nn.init.normal_(table.weight, std=0.1)
optimizer = torch.optim.SGD([*vectors.parameters(), *contexts.parameters()], lr=25.0)

for step in range(300):
    at = torch.randint(len(text) - 1, (64,))
    loss = -(vectors(text[at]) * contexts(text[at + 1])).sum(1).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step:3d}  loss {loss.item():.4g}")
