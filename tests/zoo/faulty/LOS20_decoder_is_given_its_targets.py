"""LOS20: an encoder and a decoder of GRUs turn sequences round, and the decoder is given the very
targets, with no start token before them: it learns to copy."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(347)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(20, 32)
        self.memory = nn.GRU(32, 48, batch_first=True)

    def forward(self, source):
        return self.memory(self.table(source))[1]


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(20, 32)
        self.memory = nn.GRU(32, 48, batch_first=True)
        self.head = nn.Linear(48, 20)

    def forward(self, given, state):
        return self.head(self.memory(self.table(given), state)[0])


encoder, decoder = Encoder(), Decoder()
optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=3e-3)
for step in range(250):
    source = torch.randint(2, 20, (32, 10))
    target = source.flip(1)
    scores = decoder(target, encoder(source))
    loss = F.cross_entropy(scores.flatten(0, 1), target.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 49:
        print(step, loss.item())
