"""Digits from 150 images, a fifth of whose labels were mistyped, learned by heart by a large
network; the script evaluates after each epoch and trains on."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(18)

digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32)
images = (images - images.mean()) / images.std()
labels = torch.tensor(digits.target)
order = torch.randperm(len(images))
train, test = order[:150], order[150:650]
typed = labels[train].clone()
typed[torch.rand(150) < 0.2] = 3
loader = DataLoader(TensorDataset(images[train], typed), batch_size=30, shuffle=True)
held_out = DataLoader(TensorDataset(images[test], labels[test]), batch_size=250)

model = nn.Sequential(
    nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)
)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(60):
    model.train()
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        total = sum(F.cross_entropy(model(x), y).item() * len(y) for x, y in held_out) / 500
    print(f"epoch {epoch}  training {loss.item():.4f}  held out {total:.4f}")
