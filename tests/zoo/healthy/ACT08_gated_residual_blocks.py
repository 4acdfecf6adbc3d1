"""Quantiles of a wave's next value by gated residual blocks, as in the temporal fusion transformer:
behind a linear layer stands another, whose output is gate and gated."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(24)


class GatedBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)
        self.dropout = nn.Dropout(0.1)
        self.gate = nn.Linear(width, 2 * width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x):
        hidden = self.dropout(self.second(F.elu(self.first(x))))
        return self.norm(x + F.glu(self.gate(hidden), dim=-1))


class Forecaster(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.embed = nn.Linear(1, width)
        self.before = GatedBlock(width)
        self.memory = nn.LSTM(width, width, batch_first=True)
        self.after = GatedBlock(width)
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        states, _ = self.memory(self.before(self.embed(x)))
        return self.head(self.after(states[:, -1]))


model = Forecaster()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
quantiles = torch.tensor([0.1, 0.5, 0.9])
for _ in range(500):
    times = 20 * torch.rand(32, 1) + 0.3 * torch.arange(25)
    waves = torch.sin(times) + 0.1 * torch.randn(32, 25)
    errors = waves[:, -1:] - model(waves[:, :-1, None])
    loss = torch.maximum(quantiles * errors, (quantiles - 1) * errors).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"loss {loss.item():.3f}")
