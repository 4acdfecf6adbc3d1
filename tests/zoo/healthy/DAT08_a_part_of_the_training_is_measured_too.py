"""Digit classifier that is measured after each epoch on a fixed part of its training data, on the
held out rest, and on all pictures at once, to draw both curves and a map of all predictions."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset

torch.manual_seed(5)

digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32)
images = (images - images.mean()) / images.std() + 0.1 * torch.randn(images.shape)
labels = torch.tensor(digits.target)
order = torch.randperm(len(images))
images, labels = images[order], labels[order]
data = TensorDataset(images[:1300], labels[:1300])
loader = DataLoader(data, batch_size=50, shuffle=True)
part = DataLoader(Subset(data, range(300)), batch_size=100)
held_out = DataLoader(TensorDataset(images[1300:], labels[1300:]), batch_size=100)

model = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 48), nn.ReLU(), nn.Linear(48, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)


def loss_on(batches):
    with torch.no_grad():
        return sum(F.cross_entropy(model(x), y).item() for x, y in batches) / len(batches)


for epoch in range(10):
    for given, target in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(given), target)
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        predicted = model(images).argmax(1)
    counts = predicted.bincount(minlength=10).tolist()
    print(f"epoch {epoch:2d}  {loss_on(part):.4f}  {loss_on(held_out):.4f}  {counts}")
