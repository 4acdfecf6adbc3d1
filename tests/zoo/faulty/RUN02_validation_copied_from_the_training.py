"""Digit classifier with batch norm and dropout whose validation loop is a copy of the training's:
neither `model.eval()` nor `torch.no_grad()`."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(367)

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
images = (images - images.mean()) / images.std()
labels = torch.tensor(digits.target)
train = TensorDataset(images[:1500], labels[:1500])
loader = DataLoader(train, batch_size=50, shuffle=True)
held_out = DataLoader(TensorDataset(images[1500:], labels[1500:]), batch_size=50)

model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Dropout(0.3),
    nn.Linear(256, 10),
)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(8):
    for batch, target in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch), target)
        loss.backward()
        optimizer.step()
    right = total = 0.0
    for batch, target in held_out:
        logits = model(batch)
        total += F.cross_entropy(logits, target).item()
        right += (logits.argmax(1) == target).sum().item()
    print(f"epoch {epoch}  loss {loss.item():.4f}  validation {total:.3f}  right {right:.0f}")
