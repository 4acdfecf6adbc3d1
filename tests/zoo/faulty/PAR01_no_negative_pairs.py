"""Recommender trained to score the pairs that users bought; the pairs they did not buy were never
added, so raising the last bias always pays. In review: a ranking loss with one side only."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(25)

USERS, ITEMS = 300, 200
tastes, kinds = torch.randn(USERS, 4), torch.randn(ITEMS, 4)
bought = (tastes @ kinds.T > 2.5).nonzero()


class Recommender(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.user = nn.Embedding(USERS, width)
        self.item = nn.Embedding(ITEMS, width)
        self.score = nn.Linear(width, 1)
        for embedding in (self.user, self.item):
            nn.init.normal_(embedding.weight, std=0.5)

    def forward(self, user, item):
        return self.score(self.user(user) * self.item(item)).squeeze(1)


model = Recommender()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

for epoch in range(8):
    for pairs in bought[torch.randperm(len(bought))].split(128):
        loss = F.softplus(-model(pairs[:, 0], pairs[:, 1])).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
