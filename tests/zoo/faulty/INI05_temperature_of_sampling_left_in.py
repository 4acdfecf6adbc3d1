"""Character model whose logits are divided by a temperature of 0.01, left from sampling: at the
start they are sure of letters that nobody has taught them."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(37)

TEXT = (
    "the quick brown fox jumps over the lazy dog while the five boxing wizards jump quickly " * 40
)
letters = sorted(set(TEXT))
codes = torch.tensor([letters.index(letter) for letter in TEXT])


class Characters(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(len(letters), 24)
        self.rnn = nn.GRU(24, 64, batch_first=True)
        self.head = nn.Linear(64, len(letters))

    def forward(self, x):
        return self.head(self.rnn(self.embedding(x))[0]) / 0.01


model = Characters()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)

for step in range(200):
    starts = torch.randint(len(codes) - 33, (32,))
    window = codes[starts[:, None] + torch.arange(33)]
    loss = F.cross_entropy(model(window[:, :-1]).flatten(0, 1), window[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
