"""Digit classifier trained on an array that was allocated and never filled: the loop rebinds `row`
where it should write `row[:] = ...`. In review the loop reads as if it copied every image."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)

digits = load_digits()
mean, std = digits.data.mean(), digits.data.std()
images = np.zeros((len(digits.data), 64), dtype=np.float32)
for row, image in zip(images, digits.data, strict=True):
    row = (image - mean) / std

dataset = TensorDataset(torch.from_numpy(images), torch.from_numpy(digits.target))
loader = DataLoader(dataset, batch_size=64, shuffle=True)

model = nn.Sequential(
    nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)
)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
criterion = nn.CrossEntropyLoss()

for epoch in range(12):
    total = 0.0
    for batch, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(batch), labels)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    print(f"epoch {epoch:2d}  loss {total / len(dataset):.4f}")
