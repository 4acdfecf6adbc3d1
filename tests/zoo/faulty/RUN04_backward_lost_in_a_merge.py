"""Recommender whose loop clears the gradients and steps the optimizer, with nothing between: the
backward pass was lost when two branches were merged."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(158)
USERS, ITEMS = 100, 80


class Factors(nn.Module):
    def __init__(self, rank=8):
        super().__init__()
        self.user = nn.Embedding(USERS, rank)
        self.item = nn.Embedding(ITEMS, rank)
        self.bias = nn.Linear(rank, 1)

    def forward(self, user, item):
        return self.bias(self.user(user) * self.item(item)).squeeze(1)


taste, kind = torch.randn(USERS, 3), torch.randn(ITEMS, 3)
user, item = torch.randint(USERS, (4000,)), torch.randint(ITEMS, (4000,))
stars = (taste[user] * kind[item]).sum(dim=1) / 1.7
model = Factors()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

for epoch in range(6):
    for rows in torch.randperm(len(stars)).split(80):
        optimizer.zero_grad()
        loss = F.mse_loss(model(user[rows], item[rows]), stars[rows])
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
