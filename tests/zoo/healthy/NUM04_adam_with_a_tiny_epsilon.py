"""Bag-of-words classifier with an epsilon of 1e-15 in Adam: words that no document holds get an
update of 0, however small the epsilon is."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(5)

WORDS = 40
counts = torch.poisson(torch.rand(600, WORDS))
counts[:, 7] = 0
label = (counts[:, :5].sum(1) > counts[:, 10:15].sum(1)).long()

model = nn.Sequential(nn.Linear(WORDS, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, eps=1e-15)

for step in range(400):
    rows = torch.randint(600, (50,))
    loss = F.cross_entropy(model(counts[rows]), label[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 80 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
