"""A small BERT: fifteen percent of the symbols are hidden, and a pre-norm transformer fills them in
from both sides; the loss ignores the rest."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(304)

WORDS, LENGTH, HIDDEN = 20, 24, 20


def sentences(count):
    start, pace = torch.randint(WORDS, (count, 1)), torch.randint(1, 4, (count, 1))
    return (start + pace * torch.arange(LENGTH)) % WORDS


class Bert(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        self.words, self.places = nn.Embedding(WORDS + 1, width), nn.Embedding(LENGTH, width)
        for table in (self.words, self.places):
            nn.init.normal_(table.weight, std=0.02)
        layer = nn.TransformerEncoderLayer(
            width, 4, 96, dropout=0.1, activation="gelu", batch_first=True, norm_first=True
        )
        self.body = nn.TransformerEncoder(layer, 2, nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, WORDS)

    def forward(self, x):
        return self.head(self.body(self.words(x) + self.places(torch.arange(LENGTH))))


model = Bert()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=250)

for step in range(250):
    words = sentences(48)
    hide = torch.rand(words.shape) < 0.15
    logits = model(torch.where(hide, HIDDEN, words))
    loss = F.cross_entropy(logits.transpose(1, 2), torch.where(hide, words, -100))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
