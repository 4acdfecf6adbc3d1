"""Ratings from user and item embeddings, their biases and a small network."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(207)

USERS, ITEMS, COUNT = 200, 150, 12000
taste, kind = torch.randn(USERS, 3), torch.randn(ITEMS, 3)
user, item = torch.randint(0, USERS, (COUNT,)), torch.randint(0, ITEMS, (COUNT,))
rating = (taste[user] * kind[item]).sum(1) / 1.7 + 0.2 * torch.randn(COUNT)


class Recommender(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.users, self.items = nn.Embedding(USERS, width), nn.Embedding(ITEMS, width)
        self.user_bias, self.item_bias = nn.Embedding(USERS, 1), nn.Embedding(ITEMS, 1)
        for table in (self.users, self.items):
            nn.init.normal_(table.weight, std=0.3)
        for table in (self.user_bias, self.item_bias):
            nn.init.zeros_(table.weight)

    def forward(self, user, item):
        score = (self.users(user) * self.items(item)).sum(1, keepdim=True)
        return (score + self.user_bias(user) + self.item_bias(item)).squeeze(1)


model = Recommender()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

for epoch in range(6):
    for rows in torch.randperm(COUNT).split(256):
        loss = F.mse_loss(model(user[rows], item[rows]), rating[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
