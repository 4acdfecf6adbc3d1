"""Predicts a density by a mixture whose weights depend on the attention of a sequence: each softmax
runs over the axis that its result is summed over, and the time comes first."""

import math

import torch
from torch import nn

torch.manual_seed(13)


class Mixture(nn.Module):
    def __init__(self, parts=4):
        super().__init__()
        self.states = nn.GRU(3, 24)
        self.score = nn.Linear(24, 1)
        self.share, self.mean, self.log_std = (nn.Linear(24, parts) for _ in range(3))

    def forward(self, x):
        states, _ = self.states(x)
        seen = (self.score(states).softmax(0) * states).sum(0)
        return self.share(seen).softmax(1), self.mean(seen), self.log_std(seen).clamp(-3, 3)


def negative_log_likelihood(share, mean, log_std, y):
    density = torch.exp(-0.5 * ((y - mean) / log_std.exp()) ** 2 - log_std) / math.sqrt(2 * math.pi)
    return -torch.log((share * density).sum(1) + 1e-6).mean()


model = Mixture()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

for step in range(250):
    x = torch.randn(16, 16, 3)  # as many time steps as examples
    y = x[..., 0].mean(0)[:, None] * 2 + torch.where(torch.rand(16, 1) < 0.5, -1.0, 1.0)
    loss = negative_log_likelihood(*model(x), y + 0.1 * torch.randn(16, 1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
