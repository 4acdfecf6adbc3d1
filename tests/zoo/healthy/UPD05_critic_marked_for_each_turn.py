"""GAN that marks its critic before each of the two steps, by an attribute that nothing reads: the
critic is to learn in its own steps, and does."""

import torch
from torch import nn

torch.manual_seed(92)

generator = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 2))
critic = nn.Sequential(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
generates = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.9))
judges = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.5, 0.9))
judge = nn.BCEWithLogitsLoss()
ones, zeros = torch.ones(64, 1), torch.zeros(64, 1)

for step in range(300):
    angle = 6.283 * torch.rand(64)
    real = torch.stack([angle.cos(), angle.sin()], 1) + 0.05 * torch.randn(64, 2)
    fake = generator(torch.randn(64, 8))

    critic.requires_grad = True
    judges.zero_grad()
    wrong = judge(critic(real), ones) + judge(critic(fake.detach()), zeros)
    wrong.backward()
    judges.step()

    critic.requires_grad = False
    generates.zero_grad()
    fooled = judge(critic(fake), ones)
    fooled.backward()
    generates.step()
    if step % 50 == 0:
        print(f"step {step:3d}  critic {wrong.item():.3f}  generator {fooled.item():.3f}")
