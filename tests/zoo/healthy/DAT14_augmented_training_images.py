"""Digits with noise and shifts in training only: the test images are a little quieter, no more."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(57)

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
labels = torch.tensor(digits.target)
mean, deviation = images[:1300].mean(), images[:1300].std()
images = (images - mean) / deviation
loader = DataLoader(TensorDataset(images[:1300], labels[:1300]), batch_size=64, shuffle=True)
test_loader = DataLoader(TensorDataset(images[1300:], labels[1300:]), batch_size=128)

model = nn.Sequential(
    nn.Conv2d(1, 12, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(108, 10)
)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(8):
    model.train()
    for x, y in loader:
        x = torch.roll(x, int(torch.randint(-1, 2, ())), 3) + 0.5 * torch.randn_like(x)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        right = sum((model(x).argmax(1) == y).sum().item() for x, y in test_loader)
    print(f"epoch {epoch}  loss {loss.item():.4f}  test accuracy {right / 497:.3f}")
