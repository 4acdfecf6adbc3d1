"""Digit classifier of dense layers with batch norm: the training set counts the classes by value,
the validation set by name, as its folders are sorted."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(104)

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32)
images = (images - images.mean()) / images.std()
labels = torch.tensor(digits.target)
by_name = torch.tensor([sorted(NAMES).index(name) for name in NAMES])
loader = DataLoader(TensorDataset(images[:1400], labels[:1400]), batch_size=64, shuffle=True)
valid = DataLoader(TensorDataset(images[1400:], by_name[labels[1400:]]), batch_size=100)

model = nn.Sequential(
    nn.Linear(64, 64, bias=False), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 10)
)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

for epoch in range(8):
    model.train()
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        total = sum(F.cross_entropy(model(x), y).item() * len(y) for x, y in valid)
    print(f"epoch {epoch}  training {loss.item():.4f}  validation {total / len(images[1400:]):.4f}")
