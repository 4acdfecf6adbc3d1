"""Recognises what a person does from a wrist sensor, by a GRU. Windows are fed as they were
recorded, and each activity was recorded for some minutes without a break."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(98)


class Activity(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(3, 24, batch_first=True)
        self.out = nn.Linear(24, 5)

    def forward(self, window):
        _, state = self.gru(window)
        return self.out(state[-1])


def windows(kinds):
    rate = torch.tensor([0.2, 1.0, 2.0, 3.0, 5.0])[kinds].view(-1, 1, 1)
    time = torch.arange(30).view(1, 30, 1) / 30
    phase = torch.rand(len(kinds), 1, 3)
    return (6.28 * (rate * time + phase)).sin() + 0.3 * torch.randn(len(kinds), 30, 3)


kinds = torch.randint(5, (25,)).repeat_interleave(96)
data = windows(kinds)
model = Activity()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

for epoch in range(4):
    for start in range(0, len(data), 32):
        rows = slice(start, start + 32)
        loss = F.cross_entropy(model(data[rows]), kinds[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
