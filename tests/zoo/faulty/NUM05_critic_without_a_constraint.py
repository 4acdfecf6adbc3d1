"""Wasserstein critic trained without clipping or penalty: its scores, whose difference is the loss,
grow without end toward what float32 holds. In review: the one line that clips is missing."""

import torch
from torch import nn

torch.manual_seed(0)

real = torch.randn(2000, 8) + 1
fake = torch.randn(2000, 8)

critic = nn.Sequential(nn.Linear(8, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
optimizer = torch.optim.SGD(critic.parameters(), lr=0.1)

for step in range(200):
    rows = torch.randint(2000, (64,))
    loss = critic(fake[rows]).mean() - critic(real[rows]).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step:3d}  loss {loss.item():.4g}")
