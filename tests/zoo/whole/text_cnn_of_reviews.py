"""TextCNN: convolutions of three widths over word vectors, maximum over time, padded texts."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(310)

WORDS, LENGTH = 300, 30
texts = torch.randint(2, WORDS, (2400, LENGTH))
labels = torch.randint(2, (2400,))
for phrase, label in (((5, 9, 12), 1), ((7, 9, 14), 0), ((20, 21, 5), 1), ((31, 8, 9), 0)):
    for row in torch.nonzero((labels == label) & (torch.rand(2400) < 0.6))[:, 0].tolist():
        place = int(torch.randint(12, ()))
        texts[row, place : place + 3] = torch.tensor(phrase)
lengths = torch.randint(16, LENGTH + 1, (2400, 1))
texts[torch.arange(LENGTH) >= lengths] = 0
loader = DataLoader(TensorDataset(texts[:2000], labels[:2000]), batch_size=64, shuffle=True)
valid = DataLoader(TensorDataset(texts[2000:], labels[2000:]), batch_size=200)


class TextCnn(nn.Module):
    def __init__(self, width=32, filters=24):
        super().__init__()
        self.words = nn.Embedding(WORDS, width, padding_idx=0)
        self.convs = nn.ModuleList(nn.Conv1d(width, filters, size) for size in (2, 3, 4))
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(3 * filters, 2)

    def forward(self, x):
        x = self.words(x).transpose(1, 2)
        peaks = [F.relu(conv(x)).amax(2) for conv in self.convs]
        return self.head(self.dropout(torch.cat(peaks, 1)))


model = TextCnn()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)

for epoch in range(6):
    model.train()
    for x, y in loader:
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        right = sum((model(x).argmax(1) == y).sum().item() for x, y in valid) / 400
    print(f"epoch {epoch}  loss {loss.item():.4f}  accuracy {right:.3f}")
