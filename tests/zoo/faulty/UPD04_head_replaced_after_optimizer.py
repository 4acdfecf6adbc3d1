"""Character classifier whose two-way head is swapped for a wider one after the optimizer was built,
so the new head is never stepped. In review: the order of two lines."""

import re
from pydoc_data.topics import topics

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(23)

LENGTH = 24
text = re.sub(r"[^a-z .,]+", " ", " ".join(topics.values()).lower())
text = re.sub(r" +", " ", text)[:60000]
alphabet = sorted(set(text))
codes = torch.tensor([alphabet.index(c) for c in text])


class CharModel(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        self.embed = nn.Embedding(len(alphabet), 24)
        self.rnn = nn.GRU(24, width, batch_first=True)
        self.head = nn.Linear(width, 2)

    def forward(self, window):
        states, _ = self.rnn(self.embed(window))
        return self.head(states)


model = CharModel()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
model.head = nn.Linear(48, len(alphabet))

for step in range(250):
    start = torch.randint(len(codes) - LENGTH, (32, 1))
    window = codes[start + torch.arange(LENGTH + 1)]
    logits = model(window[:, :-1])
    loss = F.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
