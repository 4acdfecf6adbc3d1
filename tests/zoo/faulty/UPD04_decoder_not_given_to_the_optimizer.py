"""Variational autoencoder made of two modules; the optimizer is given the parameters of the first.
In review: `encoder.parameters()`, from the time when there was an encoder only."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(162)


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 48), nn.ELU(), nn.Linear(48, 16))
        self.decoder = nn.Sequential(nn.Linear(8, 48), nn.ELU(), nn.Linear(48, 64))

    def forward(self, x):
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        code = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        return self.decoder(code), mean, log_variance


x = torch.tensor(load_digits().data, dtype=torch.float32)
x = (x - x.mean(0)) / x.std()
model = Autoencoder()
optimizer = torch.optim.Adam(model.encoder.parameters(), lr=2e-3)

for epoch in range(10):
    for rows in torch.randperm(len(x)).split(64):
        restored, mean, log_variance = model(x[rows])
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).mean() / 2
        loss = F.mse_loss(restored, x[rows]) + 0.01 * divergence
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
