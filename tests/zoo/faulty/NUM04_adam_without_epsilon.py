"""Bag-of-words classifier with Adam's epsilon set to 0 "for exactness": a word that no document
holds has a gradient of exactly 0, and 0 / 0 is its update. In review: one keyword argument."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(5)

WORDS = 40
counts = torch.poisson(torch.rand(600, WORDS))
counts[:, 7] = 0
label = (counts[:, :5].sum(1) > counts[:, 10:15].sum(1)).long()

model = nn.Sequential(nn.Linear(WORDS, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, eps=0.0)

for step in range(100):
    rows = torch.randint(600, (50,))
    loss = F.cross_entropy(model(counts[rows]), label[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step:2d}  loss {loss.item():.4f}")
