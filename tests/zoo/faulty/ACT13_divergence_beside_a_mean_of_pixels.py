"""Variational autoencoder on handwritten digits whose reconstruction is averaged over the pixels,
while the divergence is a sum over the code: the code is given up."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(41)


class VAE(nn.Module):
    def __init__(self, width=128, latent=8):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, width), nn.ReLU())
        self.mean = nn.Linear(width, latent)
        self.log_variance = nn.Linear(width, latent)
        self.decoder = nn.Sequential(
            nn.Linear(latent, width), nn.ReLU(), nn.Linear(width, 64), nn.Sigmoid()
        )

    def forward(self, x):
        h = self.encoder(x)
        mean, log_variance = self.mean(h), self.log_variance(h)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        return self.decoder(z), mean, log_variance


images = torch.tensor(load_digits().data / 16.0, dtype=torch.float32)
train, test = images[:1500], images[1500:]
loader = DataLoader(TensorDataset(train), batch_size=64, shuffle=True)

model = VAE()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)


def negative_elbo(x):
    decoded, mean, log_variance = model(x)
    reconstruction = F.binary_cross_entropy(decoded, x, reduction="mean")
    divergence = -0.5 * torch.sum(1 + log_variance - mean.square() - log_variance.exp())
    return reconstruction + divergence / len(x)


for epoch in range(20):
    model.train()
    for (batch,) in loader:
        optimizer.zero_grad()
        loss = negative_elbo(batch)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        print(f"epoch {epoch:2d}  loss {loss.item():.3f}  test {negative_elbo(test).item():.3f}")
