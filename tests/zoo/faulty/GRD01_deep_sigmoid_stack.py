"""Digit classifier of ten sigmoid layers: each multiplies the gradient by a quarter at most, hence
the first ones learn nothing. In review: an activation chosen "to keep values between 0 and 1"."""

from itertools import pairwise

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(17)

digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32)
images = (images - images.mean()) / images.std()
loader = DataLoader(TensorDataset(images, torch.tensor(digits.target)), batch_size=64, shuffle=True)

widths = [64] + [64] * 10
layers = []
for fan_in, fan_out in pairwise(widths):
    layers += [nn.Linear(fan_in, fan_out), nn.Sigmoid()]
    nn.init.xavier_normal_(layers[-2].weight)
model = nn.Sequential(*layers, nn.Linear(64, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
criterion = nn.CrossEntropyLoss()

for epoch in range(10):
    for batch, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(batch), labels)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
