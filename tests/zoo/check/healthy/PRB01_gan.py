"""Two losses against each other: there is none to bring to its floor."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
generator = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))
critic = nn.Sequential(nn.Linear(2, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
for_generator = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.9))
for_critic = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.5, 0.9))
ones, zeros = torch.ones(64, 1), torch.zeros(64, 1)
for _ in range(150):
    angle = 6.28 * torch.rand(64)
    real = torch.stack([angle.cos(), angle.sin()], 1)
    fake = generator(torch.randn(64, 4))
    judged = F.binary_cross_entropy_with_logits(critic(real), ones)
    judged = judged + F.binary_cross_entropy_with_logits(critic(fake.detach()), zeros)
    for_critic.zero_grad()
    judged.backward()
    for_critic.step()
    fooled = F.binary_cross_entropy_with_logits(critic(fake), ones)
    for_generator.zero_grad()
    fooled.backward()
    for_generator.step()
