"""Transformer whose schedule, given to `LambdaLR`, returns the learning rate itself, 3e-4 at its
peak; `LambdaLR` multiplies what the optimizer has, 3e-4 again. In review: both are right."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(161)
SYMBOLS, WIDTH, LENGTH, PEAK = 8, 32, 10, 3e-4


class Copier(nn.Module):
    def __init__(self):
        super().__init__()
        self.symbol = nn.Embedding(SYMBOLS, WIDTH)
        self.place = nn.Embedding(LENGTH, WIDTH)
        self.block = nn.TransformerEncoderLayer(WIDTH, 4, 64, 0.0, batch_first=True)
        self.out = nn.Linear(WIDTH, SYMBOLS)

    def forward(self, tokens):
        return self.out(self.block(self.symbol(tokens) + self.place.weight))


def rate(step):
    return PEAK * min(1.0, (step + 1) / 20)


model = Copier()
optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK)
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)

for step in range(250):
    tokens = torch.randint(SYMBOLS, (32, LENGTH))
    loss = F.cross_entropy(model(tokens).flatten(0, 1), tokens.flip(1).flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    if step % 25 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
