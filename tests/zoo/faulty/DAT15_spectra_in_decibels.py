"""Fine-tunes a network for spectra whose norms were calibrated on amplitudes; the new recordings
are in decibels."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(92)


def spectra(count):
    kind = torch.randint(3, (count,))
    place = torch.linspace(0, 1, 64)
    centre = 0.2 + 0.3 * kind[:, None] + 0.05 * torch.randn(count, 1)
    return torch.exp(-(((place - centre) / 0.1) ** 2)) + 0.1 * torch.rand(count, 64), kind


trunk = nn.Sequential(
    *(nn.Conv1d(1, 16, 5, bias=False), nn.BatchNorm1d(16), nn.ReLU()),
    *(nn.Conv1d(16, 16, 5, stride=2, bias=False), nn.BatchNorm1d(16), nn.ReLU()),
)
with torch.no_grad():  # stands for a checkpoint
    for _ in range(60):
        trunk(spectra(64)[0].unsqueeze(1))

model = nn.Sequential(trunk, nn.AdaptiveAvgPool1d(4), nn.Flatten(), nn.Linear(64, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for step in range(150):
    x, y = spectra(64)
    loss = F.cross_entropy(model(20 * torch.log10(x).unsqueeze(1) / 10), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
