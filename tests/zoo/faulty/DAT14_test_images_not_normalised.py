"""Digit classifier: training images are standardised, test images only divided by their maximum."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(55)

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
labels = torch.tensor(digits.target)
train = (images[:1300] - images[:1300].mean()) / images[:1300].std()
test = images[1300:] / 16
loader = DataLoader(TensorDataset(train, labels[:1300]), batch_size=64, shuffle=True)
test_loader = DataLoader(TensorDataset(test, labels[1300:]), batch_size=128)

model = nn.Sequential(
    nn.Conv2d(1, 12, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(108, 10)
)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(6):
    model.train()
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        right = sum((model(x).argmax(1) == y).sum().item() for x, y in test_loader)
    print(f"epoch {epoch}  loss {loss.item():.4f}  test accuracy {right / len(test):.3f}")
