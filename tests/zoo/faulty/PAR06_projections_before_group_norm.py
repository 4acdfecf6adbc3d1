"""Heartbeat classifier of one-dimensional convolutions, each with a bias and each before a norm of
every channel. In review: the defaults."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(154)


def beats(count):
    kind = torch.randint(3, (count,))
    time = torch.linspace(0, 1, 80)
    width = torch.tensor([0.03, 0.06, 0.12])[kind].unsqueeze(1)
    place = 0.3 + 0.4 * torch.rand(count, 1)
    return ((-(((time - place) / width) ** 2)).exp() * 3 - 0.4).unsqueeze(1), kind


layers = []
for inputs, outputs in [(1, 16), (16, 32), (32, 32)]:
    layers += [nn.Conv1d(inputs, outputs, 5, stride=2), nn.BatchNorm1d(outputs), nn.ELU()]
model = nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(32, 3))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

for step in range(150):
    wave, kind = beats(32)
    wave = wave + 0.2 * torch.randn_like(wave)
    loss = F.cross_entropy(model(wave), kind)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 15 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
