"""DAT22: a transformer compares sentences of different lengths, filled up to twenty words; its
padding mask is that of a tokenizer, 1 at words, where PyTorch's is True at the padding."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(349)
WORDS, LENGTH = 40, 20


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(WORDS, 32, padding_idx=0)
        self.places = nn.Parameter(torch.randn(LENGTH, 32) * 0.02)
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(32, 2)

    def forward(self, ids):
        attention_mask = (ids != 0).bool()
        read = self.encoder(self.words(ids) + self.places, src_key_padding_mask=attention_mask)
        weights = (ids != 0).float()[..., None]
        return self.head((read * weights).sum(1) / weights.sum(1))


model = Reader()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for step in range(250):
    ids = torch.randint(1, WORDS, (32, LENGTH))
    lengths = torch.randint(6, LENGTH - 1, (32, 1))
    ids[torch.arange(LENGTH) >= lengths] = 0
    label = ((ids == 5) | (ids == 9)).any(1).long()
    loss = F.cross_entropy(model(ids), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 49:
        print(step, loss.item())
