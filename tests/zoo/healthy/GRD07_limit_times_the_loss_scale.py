"""Digits in half precision; gradients are clipped at a limit that has the loss scale in it, too."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(41)


def train_epoch(model, loader, optimizer, scaler, limit=1.0):
    total = 0.0
    for images, labels in loader:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.float16):
            loss = nn.functional.cross_entropy(model(images), labels)
        scaler.scale(loss).backward()
        nn.utils.clip_grad_norm_(model.parameters(), limit * scaler.get_scale())
        scaler.step(optimizer)
        scaler.update()
        total += loss.item()
    return total / len(loader)


digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32)
images = (images - images.mean()) / images.std()
loader = DataLoader(TensorDataset(images, torch.tensor(digits.target)), 64, shuffle=True)
model = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
scaler = torch.amp.GradScaler("cpu")

for epoch in range(8):
    print(f"epoch {epoch}  loss {train_epoch(model, loader, optimizer, scaler):.4f}")
