"""GAN on a ring of eight Gaussians with the non-saturating loss."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(203)


def real(count):
    angle = torch.randint(0, 8, (count,)) * torch.pi / 4
    return torch.stack([angle.cos(), angle.sin()], 1) + 0.05 * torch.randn(count, 2)


generator = nn.Sequential(
    *(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU()), nn.Linear(64, 2)
)
discriminator = nn.Sequential(
    *(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2)), nn.Linear(64, 1)
)
of_generator = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.9))
of_discriminator = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.5, 0.9))

for step in range(300):
    fake = generator(torch.randn(128, 8))
    loss_d = F.softplus(-discriminator(real(128))).mean()
    loss_d = loss_d + F.softplus(discriminator(fake.detach())).mean()
    of_discriminator.zero_grad()
    loss_d.backward()
    of_discriminator.step()
    loss_g = F.softplus(-discriminator(fake)).mean()
    of_generator.zero_grad()
    loss_g.backward()
    of_generator.step()
    if step % 50 == 0:
        print(f"step {step:3d}  discriminator {loss_d.item():.3f}  generator {loss_g.item():.3f}")
