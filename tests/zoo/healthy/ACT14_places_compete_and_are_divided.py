"""Turns sequences of numbers round with one layer of attention. Places compete for what they look
at, as in slot attention, and what each takes in is divided by its sum.
"""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(53)


class Turner(nn.Module):
    def __init__(self):
        super().__init__()
        self.number, self.place = nn.Embedding(20, 32), nn.Embedding(10, 32)
        self.query, self.key, self.value = (nn.Linear(32, 32) for _ in range(3))
        self.after = nn.Sequential(
            nn.LayerNorm(32), nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 20)
        )

    def forward(self, numbers):
        hidden = self.number(numbers) + self.place(torch.arange(10))
        scores = self.query(hidden) @ self.key(hidden).transpose(1, 2) / 32**0.5
        weights = scores.softmax(dim=1)
        weights = weights / weights.sum(-1, keepdim=True)
        return self.after(hidden + weights @ self.value(hidden))


turner = Turner()
optimizer = torch.optim.AdamW(turner.parameters(), lr=3e-3)
for step in range(500):
    numbers = torch.randint(0, 20, (32, 10))
    loss = functional.cross_entropy(turner(numbers).flatten(0, 1), numbers.flip(1).flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(f"step {step}  loss {loss.item():.3f}")
