"""Digit classifier widened from a smaller one: the new filters are zeros on both of their sides, so
they get no gradient and stay so. In review: `zeros_like`, where new units need noise."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(54)


def net(width):
    return nn.Sequential(
        *(nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, width, 3, stride=2), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(width * 9, 10)),
    )


small, model = net(12), net(20)
with torch.no_grad():
    for old, new in zip(small.parameters(), model.parameters(), strict=True):
        new.zero_()
        new[tuple(slice(size) for size in old.shape)] = old

digits = load_digits()
x = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
x = (x - x.mean()) / x.std()
loader = DataLoader(TensorDataset(x, torch.tensor(digits.target)), batch_size=64, shuffle=True)
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)

for epoch in range(6):
    for images, labels in loader:
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
