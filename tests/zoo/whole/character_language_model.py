"""A two-layer causal transformer that predicts the next character of Python's help texts."""

from pydoc_data.topics import topics

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(74)

text = " ".join(topics.values())[:60000]
alphabet = sorted(set(text))
index = {character: number for number, character in enumerate(alphabet)}
tokens = torch.tensor([index[character] for character in text])
CONTEXT, WIDTH = 32, 48


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attend = nn.MultiheadAttention(WIDTH, 4, batch_first=True)
        self.mix = nn.Sequential(nn.Linear(WIDTH, 96), nn.GELU(), nn.Linear(96, WIDTH))

    def forward(self, x, mask):
        y = self.norm1(x)
        x = x + self.attend(y, y, y, attn_mask=mask, need_weights=False)[0]
        return x + self.mix(self.norm2(x))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(len(alphabet), WIDTH)
        self.place = nn.Parameter(0.02 * torch.randn(CONTEXT, WIDTH))
        self.blocks = nn.ModuleList([Block(), Block()])
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, len(alphabet))
        nn.init.normal_(self.embed.weight, std=0.02)
        self.register_buffer("mask", torch.triu(torch.ones(CONTEXT, CONTEXT, dtype=bool), 1))

    def forward(self, x):
        x = self.embed(x) + self.place
        for block in self.blocks:
            x = block(x, self.mask)
        return self.head(self.norm(x))


model = Model()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 30))

for step in range(200):
    start = torch.randint(len(tokens) - CONTEXT - 1, (24, 1)) + torch.arange(CONTEXT + 1)
    batch = tokens[start]
    logits = model(batch[:, :-1])
    loss = F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    if step % 40 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
