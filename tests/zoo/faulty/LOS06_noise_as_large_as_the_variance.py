"""Variational autoencoder that multiplies its noise by the variance, not by its root."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(37)

CODE, PIXELS = 4, 32
basis = torch.randn(CODE, PIXELS)


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(PIXELS, 64), nn.ReLU())
        self.mean, self.log_variance = nn.Linear(64, CODE), nn.Linear(64, CODE)
        self.decoder = nn.Sequential(nn.Linear(CODE, 64), nn.ReLU(), nn.Linear(64, PIXELS))

    def forward(self, x):
        hidden = self.encoder(x)
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        noise = torch.randn_like(mean) * torch.exp(log_variance)
        return self.decoder(mean + noise), mean, log_variance


model = Autoencoder()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for _ in range(300):
    hidden = torch.randn(64, CODE) @ basis + 0.3 * torch.randn(64, PIXELS)
    pixels = torch.sigmoid(hidden)
    logits, mean, log_variance = model(pixels)
    likeness = F.binary_cross_entropy_with_logits(logits, pixels, reduction="sum") / len(pixels)
    divergence = -0.5 * (1 + log_variance - mean.pow(2) - log_variance.exp())
    loss = likeness + 0.3 * divergence.sum(1).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"loss {loss.item():.3f}")
