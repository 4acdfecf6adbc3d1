"""Convolutional autoencoder whose optimizer was taken over from a script that maximised a reward,
`maximize=True` with it. In review: one keyword argument among five."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(125)

images = torch.tensor(load_digits().images, dtype=torch.float32).unsqueeze(1)
images = (images - images.mean()) / images.std()
model = nn.Sequential(
    nn.Conv2d(1, 12, 3, stride=2, padding=1),
    nn.Tanh(),
    nn.Conv2d(12, 6, 3, padding=1),
    nn.Tanh(),
    nn.ConvTranspose2d(6, 12, 4, stride=2, padding=1),
    nn.Tanh(),
    nn.Conv2d(12, 1, 3, padding=1),
)
optimizer = torch.optim.Adam(
    model.parameters(), lr=1e-3, betas=(0.9, 0.99), eps=1e-8, maximize=True
)

for epoch in range(6):
    for rows in torch.randperm(len(images)).split(64):
        loss = F.mse_loss(model(images[rows]), images[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
