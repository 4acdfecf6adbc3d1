"""Character model with a curriculum: sequences grow from 8 to 48 letters, and a step with them."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(96)

TEXT = (
    "the quick brown fox jumps over the lazy dog while the five boxing wizards jump quickly " * 40
)
letters = sorted(set(TEXT))
codes = torch.tensor([letters.index(letter) for letter in TEXT])


class Characters(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(len(letters), 24)
        self.rnn = nn.GRU(24, 96, batch_first=True)
        self.head = nn.Linear(96, len(letters))

    def forward(self, x):
        return self.head(self.rnn(self.embedding(x))[0])


model = Characters()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)

for step in range(300):
    length = 8 + 8 * (step // 50)
    starts = torch.randint(len(codes) - length - 1, (32,))
    window = codes[starts[:, None] + torch.arange(length + 1)]
    loss = F.cross_entropy(model(window[:, :-1]).flatten(0, 1), window[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
