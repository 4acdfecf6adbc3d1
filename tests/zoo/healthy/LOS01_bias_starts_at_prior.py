"""Multi-label tagger whose output bias starts at the log-odds of its tags, log(p / (1 - p)): its
first loss is the entropy of the tags, well below ln 2, as it should be."""

import math

import torch
from torch import nn

torch.manual_seed(105)

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
        nn.init.constant_(self.head.bias, math.log(prior / (1 - prior)))

    def forward(self, x):
        return self.head(self.body(x))


features, tags = documents(5000)
model = Tagger(prior=tags.mean().item())
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
criterion = nn.BCEWithLogitsLoss()

for epoch in range(10):
    model.train()
    for rows in torch.randperm(4000).split(100):
        loss = criterion(model(features[rows]), tags[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        held_out = criterion(model(features[4000:]), tags[4000:])
    print(f"epoch {epoch}  loss {loss.item():.4f}  held out {held_out.item():.4f}")
