"""Transformer that predicts the next word, whose attention is not told to look back only."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(29)

VOCABULARY, LENGTH, WIDTH = 30, 24, 48
follows = torch.randint(0, VOCABULARY, (VOCABULARY, 4))
text = [0]
for choice in torch.randint(0, 4, (20_000,)).tolist():
    text.append(int(follows[text[-1], choice]))
text = torch.tensor(text)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.before = nn.LayerNorm(WIDTH)
        self.attention = nn.MultiheadAttention(WIDTH, 4, batch_first=True)
        self.behind = nn.LayerNorm(WIDTH)
        self.inner = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )

    def forward(self, x):
        h = self.before(x)
        x = x + self.attention(h, h, h, need_weights=False)[0]
        return x + self.inner(self.behind(x))


class LanguageModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, WIDTH)
        self.places = nn.Embedding(LENGTH, WIDTH)
        self.blocks = nn.Sequential(Block(), Block())
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, ids):
        x = self.words(ids) + self.places(torch.arange(LENGTH))
        return self.head(self.norm(self.blocks(x)))


model = LanguageModel()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
for _ in range(400):
    starts = torch.randint(0, len(text) - LENGTH - 1, (16, 1))
    words = text[starts + torch.arange(LENGTH + 1)]
    loss = F.cross_entropy(model(words[:, :-1]).flatten(0, 1), words[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"loss {loss.item():.3f}")
