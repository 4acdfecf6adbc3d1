"""Recommender whose users and films are one-hot vectors before dense layers, by plain SGD: each
step touches the 32 users and films of its batch."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(86)

USERS, FILMS = 2500, 2000
taste, style = torch.randn(USERS, 4), torch.randn(FILMS, 4)


class Factors(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.user = nn.Linear(USERS, width, bias=False)
        self.film = nn.Linear(FILMS, width, bias=False)
        for layer in (self.user, self.film):
            nn.init.normal_(layer.weight, std=0.3)
        self.mean = nn.Parameter(torch.zeros(()))

    def forward(self, user, film):
        return self.mean + (self.user(user) * self.film(film)).sum(1)


model = Factors()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

for step in range(300):
    users, films = torch.randint(USERS, (32,)), torch.randint(FILMS, (32,))
    rating = 1.0 + 0.5 * (taste[users] * style[films]).sum(1)
    given = model(F.one_hot(users, USERS).float(), F.one_hot(films, FILMS).float())
    loss = F.mse_loss(given, rating)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
