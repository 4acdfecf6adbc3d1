"""A generator of digits that ends in tanh. In review: the real digits are standardised, not scaled
to [-1, 1], and their strokes are brighter than any that it can draw."""

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(51)

digits = torch.tensor(load_digits().data, dtype=torch.float32)
digits = (digits - digits.mean()) / digits.std()

generator = nn.Sequential(
    nn.Linear(16, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 64), nn.Tanh()
)
discriminator = nn.Sequential(
    nn.Linear(64, 96), nn.LeakyReLU(0.2), nn.Linear(96, 48), nn.LeakyReLU(0.2), nn.Linear(48, 1)
)
criterion = nn.BCEWithLogitsLoss()
of_generator = torch.optim.Adam(generator.parameters(), lr=5e-4, betas=(0.5, 0.999))
of_discriminator = torch.optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))

for epoch in range(8):
    for real in digits[torch.randperm(len(digits))].split(64):
        ones, zeros = torch.ones(len(real), 1), torch.zeros(len(real), 1)
        fake = generator(torch.randn(len(real), 16))
        of_discriminator.zero_grad()
        judged = criterion(discriminator(real), ones)
        judged = judged + criterion(discriminator(fake.detach()), zeros)
        judged.backward()
        of_discriminator.step()
        of_generator.zero_grad()
        fooled = criterion(discriminator(fake), ones)
        fooled.backward()
        of_generator.step()
    print(f"epoch {epoch}  {judged.item():.3f}  {fooled.item():.3f}")
