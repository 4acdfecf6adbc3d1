"""Character model by a small GRU that was given a minute of a shared machine: it stops while every
epoch still brings something."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(129)
TEXT = "the quick brown fox jumps over the lazy dog while five boxing wizards jump quickly " * 30
symbols = sorted(set(TEXT))
ids = torch.tensor([symbols.index(letter) for letter in TEXT])


class Letters(nn.Module):
    def __init__(self):
        super().__init__()
        self.letters = nn.Embedding(len(symbols), 16)
        self.gru = nn.GRU(16, 48, batch_first=True)
        self.next = nn.Linear(48, len(symbols))

    def forward(self, window):
        return self.next(self.gru(self.letters(window))[0])


windows = ids.unfold(0, 25, 3)
model = Letters()
optimizer = torch.optim.Adam(model.parameters(), lr=7e-4)

for epoch in range(6):
    for rows in torch.randperm(len(windows)).split(32):
        window = windows[rows]
        loss = F.cross_entropy(model(window[:, :-1]).flatten(0, 1), window[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
