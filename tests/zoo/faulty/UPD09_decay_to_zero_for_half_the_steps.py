"""Character model whose linear decay ends at step 120 of 300: the number of steps was counted
before the data set grew."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(71)

TEXT = (
    "the quick brown fox jumps over the lazy dog while the five boxing wizards jump quickly " * 40
)
letters = sorted(set(TEXT))
codes = torch.tensor([letters.index(letter) for letter in TEXT])


class Characters(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(len(letters), 16)
        self.rnn = nn.GRU(16, 48, batch_first=True)
        self.head = nn.Linear(48, len(letters))

    def forward(self, x):
        return self.head(self.rnn(self.embedding(x))[0])


model = Characters()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=120)

for step in range(300):
    starts = torch.randint(len(codes) - 33, (32,))
    window = codes[starts[:, None] + torch.arange(33)]
    loss = F.cross_entropy(model(window[:, :-1]).flatten(0, 1), window[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
