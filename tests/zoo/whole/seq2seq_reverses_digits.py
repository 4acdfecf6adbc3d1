"""Encoder and decoder GRU that write a sequence of digits backwards, with teacher forcing."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(75)
START = 10


class Seq2Seq(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.embed = nn.Embedding(11, 24)
        self.encoder = nn.GRU(24, width, batch_first=True)
        self.decoder = nn.GRU(24, width, batch_first=True)
        self.head = nn.Linear(width, 10)

    def forward(self, source, written):
        _, state = self.encoder(self.embed(source))
        return self.head(self.decoder(self.embed(written), state)[0])


model = Seq2Seq()
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)

for step in range(250):
    source = torch.randint(10, (64, 6))
    target = source.flip(1)
    written = torch.cat([torch.full((64, 1), START), target[:, :-1]], 1)
    loss = F.cross_entropy(model(source, written).flatten(0, 1), target.flatten())
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
