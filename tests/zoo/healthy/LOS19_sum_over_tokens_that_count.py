"""Which of three categories each character of a text is; the loss is summed over all that are no
padding and divided by their number."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(6)


def lines(count, length=24):
    text = torch.randint(1, 40, (count, length))
    after = torch.roll(text, 1, 1)
    label = torch.where(text > 30, 2, (after > text).long())
    label[:, 0] = -100
    padding = torch.arange(length) >= torch.randint(8, length + 1, (count, 1))
    return text.masked_fill(padding, 0), label.masked_fill(padding, -100)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(40, 24)
        self.rnn = nn.GRU(24, 32, batch_first=True)
        self.head = nn.Linear(32, 3)

    def forward(self, text):
        return self.head(self.rnn(self.embed(text))[0])


model = Tagger()
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)

for step in range(250):
    text, label = lines(32)
    total = F.cross_entropy(model(text).flatten(0, 1), label.flatten(), reduction="sum")
    loss = total / (label >= 0).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
