"""Digit classifier with batch norm and little data, some of it badly labelled: the validation loss
is well above that of the training, and far below where it began."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(105)

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
images = (images - images.mean()) / images.std()
labels = torch.tensor(digits.target)
labels = torch.where(torch.rand(len(labels)) < 0.05, torch.randint(10, (len(labels),)), labels)
loader = DataLoader(TensorDataset(images[:800], labels[:800]), batch_size=40, shuffle=True)
valid = DataLoader(TensorDataset(images[800:], labels[800:]), batch_size=250)

model = nn.Sequential(
    *(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
    *(nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.3), nn.Linear(256, 10)),
)
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)

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
    print(f"epoch {epoch}  training {loss.item():.4f}  validation {total / len(images[800:]):.4f}")
