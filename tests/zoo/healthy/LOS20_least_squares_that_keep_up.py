"""A generator of points on a ring, with the losses of a least-squares GAN, keeps up."""

import torch
from torch import nn

torch.manual_seed(56)
generator = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 2))
discriminator = nn.Sequential(
    *(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2)), nn.Linear(64, 1)
)
of_generator = torch.optim.Adam(generator.parameters(), lr=1e-3)
of_discriminator = torch.optim.Adam(discriminator.parameters(), lr=5e-4)
squared, real_, made_ = nn.MSELoss(), torch.ones(64, 1), torch.zeros(64, 1)
for step in range(600):
    angle = 6.2832 * torch.rand(64)
    ring = torch.stack([3 * angle.cos(), 3 * angle.sin()], 1) + 0.05 * torch.randn(64, 2)
    made = generator(torch.randn(64, 8))
    of_discriminator.zero_grad()
    told = squared(discriminator(ring), real_) + squared(discriminator(made.detach()), made_)
    told.backward()
    of_discriminator.step()
    of_generator.zero_grad()
    fooled = squared(discriminator(made), real_)
    fooled.backward()
    of_generator.step()
    if step % 100 == 0:
        print(f"step {step}  told {told.item():.4f}  fooled {fooled.item():.4f}")
