"""Multi-label tagger whose output bias should start at the log-odds of the tags, log(p / (1 - p)),
but has the fraction upside down. In review: the formula looks right until p is put in."""

import math

import torch
from torch import nn

torch.manual_seed(5)

TAGS, FEATURES = 12, 24


def documents(count):
    topics = torch.randn(count, FEATURES)
    scores = topics @ torch.randn(FEATURES, TAGS) + torch.randn(count, TAGS)
    return topics, (scores > scores.quantile(0.85)).float()


class Tagger(nn.Module):
    def __init__(self, prior):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(FEATURES, 96), nn.ReLU(), nn.Linear(96, 96), nn.ReLU())
        self.head = nn.Linear(96, TAGS)
        nn.init.constant_(self.head.bias, math.log((1 - prior) / prior))

    def forward(self, x):
        return self.head(self.body(x))


features, tags = documents(4000)
model = Tagger(prior=tags.mean().item())
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
criterion = nn.BCEWithLogitsLoss()

for epoch in range(10):
    for rows in torch.randperm(len(features)).split(100):
        loss = criterion(model(features[rows]), tags[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
