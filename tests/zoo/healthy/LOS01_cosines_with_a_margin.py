"""Digits told apart by cosines with a margin and a scale of 32 (CosFace): the first loss is many
times that of knowing nothing, by design."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

torch.manual_seed(106)

SCALE, MARGIN = 32.0, 0.35


class CosineHead(nn.Module):
    def __init__(self, features, classes):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, features))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x, labels):
        cosines = functional.linear(functional.normalize(x), functional.normalize(self.weight))
        return SCALE * (cosines - MARGIN * functional.one_hot(labels, len(self.weight)))


digits = load_digits()
pixels = torch.tensor(digits.data / 8.0 - 1.0, dtype=torch.float32)
labels = torch.tensor(digits.target)
body = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 32))
head = CosineHead(32, 10)
optimizer = torch.optim.AdamW([*body.parameters(), *head.parameters()], lr=1e-3)

for epoch in range(10):
    for rows in torch.randperm(1500).split(50):
        loss = functional.cross_entropy(head(body(pixels[rows]), labels[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        found = body(pixels[1500:]) @ functional.normalize(head.weight).T
        accuracy = (found.argmax(1) == labels[1500:]).float().mean()
    print(f"epoch {epoch}  loss {loss.item():.4f}  held out {accuracy.item():.3f}")
