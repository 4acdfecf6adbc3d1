"""Digits with a warm-up of some steps. In review: the scheduler is built inside the loop over
epochs, so that each begins with next to no learning rate."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(103)

digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32) / 16
loader = DataLoader(TensorDataset(images, torch.tensor(digits.target)), batch_size=48, shuffle=True)

model = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 10))
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)

for epoch in range(10):
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 25))
    for batch, labels in loader:
        loss = F.cross_entropy(model(batch), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
