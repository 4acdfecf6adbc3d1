"""Lookup of a value by its key with one attention layer: rows become sharp because the task asks
for it, and the loss falls."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(139)

KEYS, LENGTH = 16, 8


class Lookup(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.keys, self.values = nn.Embedding(KEYS, width), nn.Embedding(KEYS, width)
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.head = nn.Linear(width, KEYS)

    def forward(self, keys, values, wanted):
        query, key = (
            self.query(self.keys(wanted))[:, None, None],
            self.key(self.keys(keys))[:, None],
        )
        found = F.scaled_dot_product_attention(query, key, self.values(values)[:, None])
        return self.head(found.flatten(1))


model = Lookup()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for step in range(350):
    keys = torch.rand(128, KEYS).argsort(1)[:, :LENGTH]
    values = torch.randint(0, KEYS, (128, LENGTH))
    place = torch.randint(0, LENGTH, (128, 1))
    logits = model(keys, values, keys.gather(1, place).squeeze(1))
    loss = F.cross_entropy(logits, values.gather(1, place).squeeze(1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
