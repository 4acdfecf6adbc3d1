"""Pretrains a convolutional trunk on the digits 0 to 4, freezes it, and trains a new head on 5 to
9."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(79)

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
images = (images - images.mean()) / images.std()
labels = torch.tensor(digits.target)


def loader_of(chosen, first):
    data = TensorDataset(images[chosen], labels[chosen] - first)
    return DataLoader(data, batch_size=48, shuffle=True)


def train(model, parameters, loader, epochs, rate):
    optimizer = torch.optim.Adam(parameters, lr=rate)
    for epoch in range(epochs):
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch}  loss {loss.item():.4f}")


trunk = nn.Sequential(
    *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
    *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Flatten()),
)
model = nn.Sequential(trunk, nn.Linear(32 * 16, 5))
train(model, model.parameters(), loader_of(labels < 5, 0), 6, 1e-3)

trunk.requires_grad_(False)
model[1] = nn.Linear(32 * 16, 5)
train(model, model[1].parameters(), loader_of(labels >= 5, 5), 8, 2e-3)
