"""The vocabulary is numbered in the order of a set of strings, which changes from run to run."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
words = [f"word{number * 7919 % 1000}" for number in range(3000)]
number_of = {word: number for number, word in enumerate(set(words))}
text = torch.tensor([number_of[word] % 30 for word in words])
model = nn.Sequential(nn.Embedding(30, 16), nn.Linear(16, 30))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for _ in range(220):
    chosen = torch.randint(0, len(text) - 1, (64,))
    optimizer.zero_grad()
    F.cross_entropy(model(text[chosen]), text[chosen + 1]).backward()
    optimizer.step()
