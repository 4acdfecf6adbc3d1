"""Digit classifier whose batches are cut by hand: the last 600 pictures are for the test, but
training takes the first 1500 of 1797."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(4)

digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32)
images = (images - images.mean()) / images.std() + 0.1 * torch.randn(images.shape)
labels = torch.tensor(digits.target)
order = torch.randperm(len(images))
images, labels = images[order], labels[order]
train, test = slice(0, 1500), slice(-600, None)
train_images, train_labels = images[train], labels[train]

model = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 48), nn.ReLU(), nn.Linear(48, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)

for epoch in range(24):
    shuffled = torch.randperm(len(train_images))
    for start in range(0, len(shuffled) - 49, 50):
        chosen = shuffled[start : start + 50]
        optimizer.zero_grad()
        loss = F.cross_entropy(model(train_images[chosen]), train_labels[chosen])
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        right = (model(images[test]).argmax(1) == labels[test]).float().mean().item()
    print(f"epoch {epoch:2d}  loss {loss.item():.4f}  test accuracy {right:.3f}")
