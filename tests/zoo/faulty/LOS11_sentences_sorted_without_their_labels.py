"""Sentiment of sentences by a packed LSTM. For packing, sentences are sorted by length; the labels
stay in their old order. In review: `sentences[order]`, and a loss two lines on."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

torch.manual_seed(126)
VOCABULARY = 60


class Sentiment(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, 16)
        self.lstm = nn.LSTM(16, 32, batch_first=True)
        self.out = nn.Linear(32, 1)

    def forward(self, sentences, lengths):
        packed = pack_padded_sequence(self.words(sentences), lengths, batch_first=True)
        _, (state, _) = self.lstm(packed)
        return self.out(state[-1]).squeeze(1)


feeling = torch.randn(VOCABULARY)
sentences = torch.randint(1, VOCABULARY, (2000, 12))
lengths = torch.randint(4, 13, (2000,))
sentences[torch.arange(12) >= lengths[:, None]] = 0
liked = ((feeling[sentences] * (sentences > 0)).sum(dim=1) > 0).float()
model = Sentiment()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

for epoch in range(6):
    for rows in torch.randperm(len(sentences)).split(50):
        order = lengths[rows].argsort(descending=True)
        scores = model(sentences[rows][order], lengths[rows][order])
        loss = F.binary_cross_entropy_with_logits(scores, liked[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
