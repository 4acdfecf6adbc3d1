"""Convolutional regressor kept in bfloat16 to save memory and trained by AdamW at 2e-5, as large
models are: its weights of a tenth take no step below 2e-4."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(77)


def signals(count):
    frequency = 0.5 + 2 * torch.rand(count, 1)
    time = torch.linspace(0, 6.28, 48)
    wave = torch.sin(frequency * time + 6.28 * torch.rand(count, 1)) + 0.1 * torch.randn(count, 48)
    return wave.unsqueeze(1).bfloat16(), (frequency - 1.5) / 0.58


model = nn.Sequential(
    *(nn.Conv1d(1, 16, 7), nn.ReLU(), nn.Conv1d(16, 16, 7, stride=2), nn.ReLU()),
    *(nn.Flatten(), nn.Linear(16 * 18, 1)),
).bfloat16()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5)

for step in range(250):
    x, y = signals(64)
    loss = F.mse_loss(model(x).float(), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
