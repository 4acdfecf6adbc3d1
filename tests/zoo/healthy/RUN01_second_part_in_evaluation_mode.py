"""Digits: trained on clean images, then for a while on all of them with dropout switched off."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(44)


def fit(model, loader, epochs, rate):
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for epoch in range(epochs):
        for images, labels in loader:
            loss = nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch}  loss {loss.item():.4f}")


digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).flatten(1) / 16.0 - 0.3
labels = torch.tensor(digits.target)
model = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 10))
fit(model, DataLoader(TensorDataset(images[:1200], labels[:1200]), 32, shuffle=True), 8, 2e-3)
model.eval()
fit(model, DataLoader(TensorDataset(images, labels), 32, shuffle=True), 4, 2e-4)
