"""Character transformer on Python's own help texts, initialised as GPT-2: the projections back into
the residual stream are drawn smaller by sqrt(2 * depth), below every fan-in formula."""

import math
import re
from pydoc_data.topics import topics

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(112)

LENGTH, WIDTH, DEPTH, HEADS = 32, 48, 4, 4
text = re.sub(r"[^a-z .,]+", " ", " ".join(topics.values()).lower())
text = re.sub(r" +", " ", text)[:80000]
alphabet = sorted(set(text))
codes = torch.tensor([alphabet.index(c) for c in text])


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.attention_out = nn.Linear(WIDTH, WIDTH)
        self.mlp_in = nn.Linear(WIDTH, 4 * WIDTH)
        self.mlp_out = nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        batch, length, _ = x.shape
        qkv = self.qkv(self.norm1(x)).view(batch, length, 3, HEADS, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attention_out(attended.transpose(1, 2).flatten(2))
        return x + self.mlp_out(F.gelu(self.mlp_in(self.norm2(x))))


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.token = nn.Embedding(len(alphabet), WIDTH)
        self.position = nn.Embedding(LENGTH, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(DEPTH)))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, len(alphabet), bias=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                std = 0.1 if "token" in name or "position" in name else 0.08
                std /= math.sqrt(2 * DEPTH) if name.endswith("out.weight") else 1
                nn.init.normal_(parameter, std=std)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, window):
        x = self.token(window) + self.position(torch.arange(window.shape[1]))
        return self.head(self.norm(self.blocks(x)))


model = GPT()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95))

for step in range(240):
    start = torch.randint(len(codes) - LENGTH, (12, 1))
    window = codes[start + torch.arange(LENGTH + 1)]
    loss = F.cross_entropy(model(window[:, :-1]).flatten(0, 1), window[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
