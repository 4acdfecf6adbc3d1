"""Reviews of different lengths, each read at its own last word; the same batches also go, packed,
through a second layer whose last state is used."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from torch.utils.data import DataLoader

torch.manual_seed(223)

WORDS = 60
reviews = [torch.randint(1, WORDS, (int(torch.randint(5, 50, ())),)) for _ in range(1000)]
labels = [int((words < WORDS / 2).float().mean() > 0.5) for words in reviews]


def collate(pairs):
    words, label = zip(*pairs, strict=True)
    lengths = torch.tensor([len(one) for one in words])
    return pad_sequence(words, batch_first=True), lengths, torch.tensor(label)


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(WORDS, 24, padding_idx=0)
        self.first = nn.LSTM(24, 32, batch_first=True)
        self.second = nn.GRU(24, 32, batch_first=True)
        self.head = nn.Linear(64, 2)

    def forward(self, ids, lengths):
        given = self.words(ids)
        out, _ = self.first(given)
        packed = pack_padded_sequence(given, lengths, batch_first=True, enforce_sorted=False)
        _, state = self.second(packed)
        own_last = out[torch.arange(len(out)), lengths - 1]
        return self.head(torch.cat([own_last, state[-1]], dim=1))


pairs = list(zip(reviews, labels, strict=True))
loader = DataLoader(pairs, batch_size=32, shuffle=True, collate_fn=collate)
model = Reader()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for epoch in range(7):
    for ids, lengths, label in loader:
        loss = F.cross_entropy(model(ids, lengths), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
