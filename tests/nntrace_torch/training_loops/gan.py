"""A GAN over a ring of points: two optimizers take turns, the judge is called three times."""

import math

import torch
from torch import nn

torch.manual_seed(0)
generator = nn.Sequential(
    nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2)
)
judge = nn.Sequential(
    nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1)
)
judge_optimizer = torch.optim.Adam(judge.parameters(), lr=1e-3, betas=(0.5, 0.999))
generator_optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
criterion = nn.BCEWithLogitsLoss()
for _ in range(60):
    angle = torch.rand(64) * 2 * math.pi
    real = torch.stack([angle.cos(), angle.sin()], dim=1)
    fake = generator(torch.randn(64, 8))
    judge_optimizer.zero_grad()
    loss = criterion(judge(real), torch.ones(64, 1))
    loss = loss + criterion(judge(fake.detach()), torch.zeros(64, 1))
    loss.backward()
    judge_optimizer.step()
    generator_optimizer.zero_grad()
    loss = criterion(judge(fake), torch.ones(64, 1))
    loss.backward()
    generator_optimizer.step()
