"""Finds whether a sequence holds a certain word, by attention written by hand whose scores are
multiplied by the root of the width in place of divided. From a question on a PyTorch forum."""

import math

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(909)

LENGTH, WIDTH, HEADS = 14, 64, 4
words = torch.randint(1, 30, (1280, LENGTH))
words[:, 1] = torch.where(torch.rand(1280) < 0.4, 7, words[:, 1])
holds = (words == 7).any(1).long()


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.project, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        shape = (*x.shape[:2], HEADS, WIDTH // HEADS)
        query, key, value = (
            part.reshape(shape).transpose(1, 2) for part in self.project(x).chunk(3, -1)
        )
        scores = query @ key.transpose(-2, -1) * math.sqrt(WIDTH // HEADS)
        return self.out((scores.softmax(-1) @ value).transpose(1, 2).reshape(x.shape))


class Finder(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.places = nn.Embedding(30, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.blocks = nn.ModuleList(Attention() for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))
        self.head = nn.Linear(WIDTH, 2)

    def forward(self, x):
        hidden = self.words(x) + self.places.weight
        for block, norm in zip(self.blocks, self.norms, strict=True):
            hidden = norm(hidden + block(hidden))
        return self.head(hidden[:, 0])


model = Finder()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(8):
    for rows in torch.randperm(1152).split(32):
        loss = F.cross_entropy(model(words[rows]), holds[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        right = (model(words[1152:]).argmax(1) == holds[1152:]).float().mean()
    print(f"epoch {epoch}  loss {loss.item():.4f}  accuracy {right:.3f}")
