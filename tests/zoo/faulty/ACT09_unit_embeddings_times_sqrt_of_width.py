"""Finds the symbol that follows a marker in a sequence. Embeddings are multiplied by the square
root of the width, as in the paper, whose embeddings were small; `nn.Embedding` draws them at unit
scale. No norm stands before the attention: from the start each symbol looks at one key."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(78)
SYMBOLS, WIDTH, LENGTH = 12, 64, 20


class Finder(nn.Module):
    def __init__(self):
        super().__init__()
        self.symbol = nn.Embedding(SYMBOLS, WIDTH)
        self.place = nn.Embedding(LENGTH, WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.mix = nn.Linear(WIDTH, WIDTH)
        self.out = nn.Linear(WIDTH, SYMBOLS)

    def forward(self, tokens):
        x = (self.symbol(tokens) + self.place.weight) * WIDTH**0.5
        q, k, v = (
            part.unflatten(2, (4, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=2)
        )
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return self.out(torch.tanh(self.mix(mixed)).mean(dim=1))


model = Finder()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-4)

for step in range(200):
    tokens = torch.randint(1, SYMBOLS, (48, LENGTH))
    marked = torch.randint(LENGTH - 1, (48,))
    tokens[torch.arange(48), marked] = 0
    answer = tokens[torch.arange(48), marked + 1]
    loss = F.cross_entropy(model(tokens), answer)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
