"""Denoising autoencoder for digits whose decoder uses the encoder's weights, transposed."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader

torch.manual_seed(302)

images = torch.tensor(load_digits().data, dtype=torch.float32) / 16


class Tied(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        self.encoder = nn.Linear(64, width)
        self.back = nn.Parameter(torch.zeros(64))

    def forward(self, x):
        return F.linear(torch.tanh(self.encoder(x)), self.encoder.weight.T, self.back)


model = Tied()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

for epoch in range(8):
    for clean in DataLoader(images, batch_size=64, shuffle=True):
        loss = F.mse_loss(model(clean + 0.2 * torch.randn_like(clean)), clean)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
