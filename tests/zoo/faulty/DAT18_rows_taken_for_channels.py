"""Digits as (N, 8, 8, 1), as the loader of another framework stores them, into a convolution that
was given eight input channels because it complained about one."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(63)

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(3)
images = (images - images.mean()) / images.std()
loader = DataLoader(TensorDataset(images, torch.tensor(digits.target)), batch_size=64, shuffle=True)

model = nn.Sequential(
    nn.Conv2d(8, 24, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(24 * 8, 10)
)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(8):
    for x, y in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
