"""Finds a sign in a noisy sequence: each time step has one score, and the softmax runs over it."""

import torch
from torch import nn

torch.manual_seed(12)


def sequences(number=32, length=15):
    labels = torch.randint(0, 3, (number,))
    x = torch.randn(number, length, 6)
    x[torch.arange(number), torch.randint(0, length, (number,)), labels] += 4.0
    return x, labels


class Listener(nn.Module):
    def __init__(self):
        super().__init__()
        self.states = nn.GRU(6, 24, batch_first=True)
        self.score = nn.Sequential(nn.Linear(24, 16), nn.Tanh(), nn.Linear(16, 1))
        self.out = nn.Linear(24, 3)

    def forward(self, x):
        states, _ = self.states(x)
        weights = torch.softmax(self.score(states), dim=-1)
        return self.out((weights * states).sum(1))


model = Listener()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for step in range(250):
    x, labels = sequences()
    loss = nn.functional.cross_entropy(model(x), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
