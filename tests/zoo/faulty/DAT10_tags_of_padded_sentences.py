"""Tagger of sentences that are filled up to the longest of a batch: the loss is not told to ignore
the tag of what fills them."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

torch.manual_seed(1012)

PAD = 0
tag_of_word = torch.randint(1, 6, (150,))
sentences = [torch.randint(1, 150, (int(length),)) for length in torch.randint(3, 14, (900,))]
sentences[::10] = [torch.randint(1, 150, (40,)) for _ in sentences[::10]]


def collate(batch):
    words = pad_sequence(batch, batch_first=True, padding_value=PAD)
    tags = pad_sequence([tag_of_word[w] for w in batch], batch_first=True, padding_value=PAD)
    return words, tags


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(150, 24, padding_idx=PAD)
        self.gru = nn.GRU(24, 24, batch_first=True, bidirectional=True)
        self.head = nn.Linear(48, 6)

    def forward(self, words):
        return self.head(self.gru(self.embedding(words))[0])


model = Tagger()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
loader = DataLoader(sentences, batch_size=30, shuffle=True, collate_fn=collate)
for epoch in range(5):
    total = 0.0
    for words, tags in loader:
        loss = F.cross_entropy(model(words).flatten(0, 1), tags.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(f"epoch {epoch}  loss {total / len(loader):.4f}")
