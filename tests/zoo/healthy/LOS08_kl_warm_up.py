"""Variational autoencoder on digits whose KL term is faded in over the run, as is usual: the total
loss falls at first and then climbs with the weight of the term, while the model improves."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(108)


class VAE(nn.Module):
    def __init__(self, code=8):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 96), nn.Tanh(), nn.Linear(96, 2 * code))
        self.decoder = nn.Sequential(nn.Linear(code, 96), nn.Tanh(), nn.Linear(96, 64))

    def forward(self, x):
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        code = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        return self.decoder(code), mean, log_variance


digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32)
images = (images - images.mean()) / images.std()
loader = DataLoader(TensorDataset(images), batch_size=64, shuffle=True)

model = VAE()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
epochs = 24

for epoch in range(epochs):
    weight = min(1.0, 2 * epoch / epochs)
    for (batch,) in loader:
        decoded, mean, log_variance = model(batch)
        error = F.mse_loss(decoded, batch)
        divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean() / 64
        loss = error + weight * divergence
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 3 == 0:
        print(f"epoch {epoch:2d}  loss {loss.item():.4f}  error {error.item():.4f}")
