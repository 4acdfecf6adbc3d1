"""Character model whose gradients are clipped to a norm of 0.001: every step is clipped, plain SGD
creeps. In review: a limit with three zeros where one was meant."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(47)

TEXT = "the quick brown fox jumps over the lazy dog and runs away from the old grey wolf " * 20
letters = sorted(set(TEXT))
codes = torch.tensor([letters.index(c) for c in TEXT])


class Model(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        self.embedding = nn.Embedding(len(letters), 16)
        self.cell = nn.GRU(16, width, batch_first=True)
        self.head = nn.Linear(width, len(letters))

    def forward(self, x):
        return self.head(self.cell(self.embedding(x))[0])


model = Model()
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)

for step in range(250):
    starts = torch.randint(0, len(codes) - 21, (32,))
    window = codes[starts[:, None] + torch.arange(21)]
    loss = F.cross_entropy(model(window[:, :-1]).transpose(1, 2), window[:, 1:])
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.001)
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
