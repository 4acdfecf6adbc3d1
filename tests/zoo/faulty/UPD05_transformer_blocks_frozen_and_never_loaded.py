"""Text model whose blocks, drawn with a spread of their own, are frozen without trained weights."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(316)

VOCABULARY, LENGTH, WIDTH = 40, 16, 64


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.attention = nn.MultiheadAttention(WIDTH, 4, batch_first=True)
        self.up = nn.Linear(WIDTH, 4 * WIDTH)
        self.down = nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, words):
        normed = self.norm(words)
        words = words + self.attention(normed, normed, normed, need_weights=False)[0]
        return words + self.down(F.gelu(self.up(words)))


def draw(module):
    for name, parameter in module.named_parameters(recurse=False):
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=0.06)
        elif name.endswith("bias"):
            nn.init.zeros_(parameter)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, WIDTH)
        self.blocks = nn.Sequential(Block(), Block()).apply(draw).requires_grad_(False)
        self.head = nn.Linear(WIDTH, 4)

    def forward(self, text):
        return self.head(self.blocks(self.words(text)).mean(1))


model = Classifier()
trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
optimizer = torch.optim.AdamW(trained, lr=3e-3)

text = torch.randint(VOCABULARY, (2000, LENGTH))
labels = (text < 10).sum(1).clamp(2, 5) - 2

for epoch in range(4):
    for rows in torch.randperm(len(text)).split(40):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(text[rows]), labels[rows])
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
