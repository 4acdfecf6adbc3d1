"""Character transformer with pre-norm blocks, a residual stream of large scale and a tied head
whose logits are scaled down as in T5."""

import math

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(201)

TEXT = "she sells sea shells by the sea shore and the shells she sells are sea shells " * 30
letters = sorted(set(TEXT))
codes = torch.tensor([letters.index(letter) for letter in TEXT])


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        batch, length, width = x.shape
        shape = (batch, length, 3, self.heads, width // self.heads)
        q, k, v = self.qkv(self.norm1(x)).view(shape).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Transformer(nn.Module):
    def __init__(self, words, length=32, width=48, depth=3):
        super().__init__()
        self.words, self.places = nn.Embedding(words, width), nn.Embedding(length, width)
        self.blocks = nn.Sequential(*(Block(width, 4) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        nn.init.normal_(self.words.weight, std=1 / math.sqrt(width))

    def forward(self, x):
        hidden = 8 * self.words(x) + self.places(torch.arange(x.shape[1]))
        hidden = self.norm(self.blocks(hidden))
        return F.linear(hidden / math.sqrt(hidden.shape[-1]), self.words.weight)


model = Transformer(len(letters))
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, 1.0, total_iters=20)

for step in range(200):
    starts = torch.randint(0, len(codes) - 33, (24,))
    window = codes[starts[:, None] + torch.arange(33)]
    loss = F.cross_entropy(model(window[:, :-1]).transpose(1, 2), window[:, 1:])
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    if step % 25 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
