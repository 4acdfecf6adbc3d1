"""Contrastive digits: views of an image are pulled together and other images pushed away."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(144)

x = torch.tensor(load_digits().data, dtype=torch.float32)
x = (x - x.mean()) / x.std()
model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)


def view(images):
    return images * (torch.rand_like(images) > 0.2) + 0.2 * torch.randn_like(images)


for epoch in range(16):
    for rows in torch.randperm(len(x))[:1792].split(128):
        one, two = (F.normalize(model(view(x[rows])), dim=1) for _ in range(2))
        loss = F.cross_entropy(one @ two.T / 0.2, torch.arange(len(rows)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
