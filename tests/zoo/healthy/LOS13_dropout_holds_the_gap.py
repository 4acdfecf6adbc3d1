"""Digits from 600 images with dropout and weight decay: the held-out loss levels off above the
training loss, and stays there."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(20)

digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32)
images = (images - images.mean()) / images.std()
labels = torch.tensor(digits.target)
order = torch.randperm(len(images))
train, test = order[:600], order[600:1200]
loader = DataLoader(TensorDataset(images[train], labels[train]), batch_size=50, shuffle=True)
held_out = DataLoader(TensorDataset(images[test], labels[test]), batch_size=300)

model = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Dropout(0.4), nn.Linear(96, 10))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)

for epoch in range(25):
    model.train()
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        total = sum(F.cross_entropy(model(x), y).item() * len(y) for x, y in held_out) / 600
    print(f"epoch {epoch}  training {loss.item():.4f}  held out {total:.4f}")
