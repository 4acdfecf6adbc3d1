"""Transformer encoder of four blocks whose loop runs over their number and calls `blocks[0]` each
time. In review: `for i in range(len(self.blocks))`, which is right, and an index that is not."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(159)
SYMBOLS, WIDTH, LENGTH = 10, 32, 12


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.symbol = nn.Embedding(SYMBOLS, WIDTH)
        self.place = nn.Parameter(0.02 * torch.randn(LENGTH, WIDTH))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(WIDTH, 4, 64, 0.0, batch_first=True, norm_first=True)
            for _ in range(4)
        )
        self.out = nn.Linear(WIDTH, SYMBOLS)

    def forward(self, tokens):
        x = self.symbol(tokens) + self.place
        for _ in range(len(self.blocks)):
            x = self.blocks[0](x)
        return self.out(x)


model = Encoder()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for step in range(200):
    tokens = torch.randint(SYMBOLS, (48, LENGTH))
    loss = F.cross_entropy(model(tokens).flatten(0, 1), tokens.flip(1).flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
