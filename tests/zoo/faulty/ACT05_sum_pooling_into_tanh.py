"""Sequence classifier that pools 96 time steps with a sum where a mean was meant, so that the tanh
behind it is handed numbers in the tens. In review: `.sum(dim=1)` in place of `.mean(dim=1)`."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(16)

LENGTH = 96


def signals(count):
    label = torch.randint(4, (count,))
    time = torch.linspace(0, 6.28, LENGTH)
    phase = 6.28 * torch.rand(count, 1)
    wave = torch.sin(time * (1 + 2 * label.unsqueeze(1)) + phase)
    return (wave + 0.3 * torch.randn_like(wave)).unsqueeze(1) / 0.77, label


class Pooled(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 32, 9, padding=4)
        self.mix = nn.Conv1d(32, 32, 9, padding=4)
        self.squash = nn.Tanh()
        self.head = nn.Linear(32, 4)
        for layer in (self.conv, self.mix):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, signal):
        features = self.mix(F.relu(self.conv(signal)))
        return self.head(self.squash(features.sum(dim=2)))


model = Pooled()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-4)

for step in range(300):
    signal, label = signals(32)
    loss = F.cross_entropy(model(signal), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
