"""Says a row of numbers backwards, with the warm-up of a paper that trained for 100,000 steps."""

import torch
from torch import nn

torch.manual_seed(46)

SYMBOLS, LENGTH, WARM_UP = 40, 16, 10_000


class Reverser(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        self.symbols = nn.Embedding(SYMBOLS, width)
        self.places = nn.Parameter(0.02 * torch.randn(LENGTH, width))
        layer = nn.TransformerEncoderLayer(width, 4, 96, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.out = nn.Linear(width, SYMBOLS)

    def forward(self, ids):
        return self.out(self.encoder(self.symbols(ids) + self.places))


model = Reverser()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: min(1.0, (s + 1) / WARM_UP))

for step in range(300):
    ids = torch.randint(0, SYMBOLS, (32, LENGTH))
    loss = nn.functional.cross_entropy(model(ids).transpose(1, 2), ids.flip(1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
