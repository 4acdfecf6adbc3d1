"""Digit classifier whose blocks are convolution, batch norm, activation, dropout: each dropout
feeds the next block's batch norm. In review: a tidy block, in the order of a blog post."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(42)


def block(inputs, outputs):
    layers = [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, nn.ReLU(), nn.Dropout(0.3))


digits = load_digits()
x = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
x = (x - x.mean()) / x.std()
loader = DataLoader(TensorDataset(x, torch.tensor(digits.target)), batch_size=64, shuffle=True)
model = nn.Sequential(block(1, 8), block(8, 16), nn.Flatten(), nn.Linear(16 * 64, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for epoch in range(5):
    for images, labels in loader:
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
