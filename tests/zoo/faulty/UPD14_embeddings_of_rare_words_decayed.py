"""Sentiment of short texts from word vectors, all of them decayed by 0.1 in each step, those of
words that the batch does not hold too."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(80)

WORDS = 800
mood = torch.randn(WORDS)
texts = (WORDS * torch.rand(3000, 16) ** 2).long()
labels = (mood[texts].sum(1) > 0).float()
loader = DataLoader(TensorDataset(texts, labels), batch_size=64, shuffle=True)


class Sentiment(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(WORDS, 24)
        self.norm = nn.LayerNorm(24)
        self.head = nn.Linear(24, 1)

    def forward(self, x):
        return self.head(self.norm(self.words(x).mean(1))).squeeze(1)


model = Sentiment()
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.1)

for epoch in range(6):
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(model(x), y)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
