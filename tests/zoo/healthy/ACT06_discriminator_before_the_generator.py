"""A convolutional GAN of digits; samples are drawn from fixed noise after each epoch.

The discriminator's head, whose scores are of one sign for long, is not the last layer to be met.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader

torch.manual_seed(76)
images = torch.tensor(load_digits().images, dtype=torch.float32)[:1280, None] / 8 - 1
generator = nn.Sequential(
    *(nn.ConvTranspose2d(16, 32, 4, bias=False), nn.BatchNorm2d(32), nn.ReLU()),
    *(nn.ConvTranspose2d(32, 1, 4, 2, 1, bias=False), nn.Tanh()),
)
critic = nn.Sequential(
    *(nn.Conv2d(1, 32, 4, 2, 1, bias=False), nn.LeakyReLU(0.2), nn.Conv2d(32, 1, 4, bias=False)),
)
for layer in (*generator, *critic):
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(layer.weight, 0, 0.02)
judge = nn.BCEWithLogitsLoss()
for_critic = torch.optim.Adam(critic.parameters(), lr=2e-4, betas=(0.5, 0.999))
for_generator = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
fixed = torch.randn(16, 16, 1, 1)
ones, zeros = torch.ones(64), torch.zeros(64)

for _ in range(10):
    for real in DataLoader(images, 64, shuffle=True):
        made = generator(torch.randn(64, 16, 1, 1))
        for_critic.zero_grad()
        judge(critic(real).flatten(), ones).backward()
        judge(critic(made.detach()).flatten(), zeros).backward()
        for_critic.step()
        for_generator.zero_grad()
        judge(critic(made).flatten(), ones).backward()
        for_generator.step()
    with torch.no_grad():
        shown = generator(fixed)
