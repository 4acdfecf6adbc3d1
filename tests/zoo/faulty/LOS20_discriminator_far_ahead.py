"""A GAN of handwritten digits whose discriminator is large and fast, and its generator small and
slow; the generator minimises log(1 − D(G(z))), which has no gradient where it loses.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(14)
pixels = torch.tensor(load_digits().data / 8.0 - 1.0, dtype=torch.float32)
generator = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 64), nn.Tanh())
discriminator = nn.Sequential(
    nn.Linear(64, 256),
    nn.LeakyReLU(0.2),
    nn.Linear(256, 256),
    nn.LeakyReLU(0.2),
    nn.Linear(256, 1),
    nn.Sigmoid(),
)
slow = torch.optim.Adam(generator.parameters(), lr=1e-5)
fast = torch.optim.Adam(discriminator.parameters(), lr=2e-3)
judge = nn.BCELoss()
for step in range(500):
    real = pixels[torch.randint(0, len(pixels), (64,))]
    drawn = generator(torch.randn(64, 16))
    loss = judge(discriminator(real), torch.ones(64, 1))
    loss = loss + judge(discriminator(drawn.detach()), torch.zeros(64, 1))
    fast.zero_grad()
    loss.backward()
    fast.step()
    fooled = torch.log(1 - discriminator(drawn) + 1e-8).mean()
    slow.zero_grad()
    fooled.backward()
    slow.step()
    if step % 100 == 0:
        print(f"{step}  discriminator {loss.item():.4f}  generator {fooled.item():.4f}")
