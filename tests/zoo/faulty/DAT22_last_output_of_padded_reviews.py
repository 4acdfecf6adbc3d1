"""Do more than half of a review's words speak well of it? In review: the classifier reads
`out[:, -1]`, which for all but the longest review of a batch is an output behind its padding."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

torch.manual_seed(221)

WORDS = 60
reviews = [torch.randint(1, WORDS, (int(torch.randint(5, 50, ())),)) for _ in range(1000)]
labels = [int((words < WORDS / 2).float().mean() > 0.5) for words in reviews]


def collate(pairs):
    words, label = zip(*pairs, strict=True)
    return pad_sequence(words, batch_first=True), torch.tensor(label)


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(WORDS, 24, padding_idx=0)
        self.lstm = nn.LSTM(24, 32, batch_first=True)
        self.head = nn.Linear(32, 2)

    def forward(self, ids):
        out, _ = self.lstm(self.words(ids))
        return self.head(out[:, -1])


pairs = list(zip(reviews, labels, strict=True))
loader = DataLoader(pairs, batch_size=32, shuffle=True, collate_fn=collate)
model = Reader()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for epoch in range(7):
    for ids, label in loader:
        loss = F.cross_entropy(model(ids), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
