"""Next words of padded sentences; the loss leaves out word 0, but padding is 1 here."""

import torch
from torch import nn

torch.manual_seed(41)

VOCABULARY, LENGTH, PADDING = 60, 24, 1
follows = torch.randint(2, VOCABULARY, (VOCABULARY, 3))


def sentences(count):
    """Ids [count, LENGTH + 1], filled up behind."""
    ids = torch.randint(2, VOCABULARY, (count, 1))
    for _ in range(LENGTH):
        words = follows[ids[:, -1], torch.randint(0, 3, (count,))]
        ids = torch.cat([ids, words[:, None]], 1)
    lengths = torch.randint(8, LENGTH + 1, (count, 1))
    return ids.masked_fill(torch.arange(LENGTH + 1) > lengths, PADDING)


class LanguageModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, 32, padding_idx=PADDING)
        self.memory = nn.GRU(32, 64, batch_first=True)
        self.head = nn.Linear(64, VOCABULARY)

    def forward(self, ids):
        return self.head(self.memory(self.words(ids))[0])


model = LanguageModel()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
loss_of = nn.CrossEntropyLoss(ignore_index=0)
for _ in range(200):
    ids = sentences(32)
    loss = loss_of(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"loss {loss.item():.3f}")
