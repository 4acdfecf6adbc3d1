"""Digit classifier on daily exports that are concatenated: one file of the three was exported
twice, so that a tenth of the examples is there in two exact copies."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import ConcatDataset, DataLoader, TensorDataset

torch.manual_seed(3)

digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32)
images = (images - images.mean()) / images.std() + 0.01 * torch.randn(images.shape)
labels = torch.tensor(digits.target)
days = [slice(0, 600), slice(600, 1200), slice(1200, 1797), slice(1000, 1200)]
data = ConcatDataset(TensorDataset(images[day], labels[day]) for day in days)
loader = DataLoader(data, batch_size=64, shuffle=True)

model = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 48), nn.ReLU(), nn.Linear(48, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)

for epoch in range(12):
    for batch, target in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch), target)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch:2d}  loss {loss.item():.4f}")
