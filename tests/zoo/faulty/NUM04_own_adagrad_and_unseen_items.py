"""Recommender with an Adagrad of its own, `g / sqrt(sum of g²)`: who has not been in a batch yet
has a gradient of 0 and a sum of 0. In review: the epsilon of the library looked like a nuisance."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(145)
USERS, ITEMS = 400, 200


class Adagrad(torch.optim.Optimizer):
    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                seen = self.state[parameter].setdefault("seen", torch.zeros_like(parameter))
                seen += parameter.grad.square()
                parameter -= group["lr"] * parameter.grad / seen.sqrt()


class Factors(nn.Module):
    def __init__(self, rank=8):
        super().__init__()
        self.user = nn.Embedding(USERS, rank)
        self.item = nn.Embedding(ITEMS, rank)

    def forward(self, user, item):
        return (self.user(user) * self.item(item)).sum(dim=1) / 3


taste, kind = torch.randn(USERS, 3), torch.randn(ITEMS, 3)
model = Factors()
optimizer = Adagrad(model.parameters(), lr=0.05)

for step in range(120):
    user, item = torch.randint(USERS, (64,)), torch.randint(ITEMS, (64,))
    loss = F.mse_loss(model(user, item), (taste[user] * kind[item]).sum(dim=1) / 1.7)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 12 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
