"""Digit classifier that trains a head on a frozen trunk whose trained weights were never loaded."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(314)

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
images = (images - images.mean()) / images.std()
labels = torch.tensor(digits.target)
train = TensorDataset(images[:1500], labels[:1500])
loader = DataLoader(train, batch_size=50, shuffle=True)

trunk = nn.Sequential(
    nn.Conv2d(1, 24, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(24, 32, 3, padding=1),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(512, 64),
    nn.ReLU(),
)
trunk.requires_grad_(False)
model = nn.Sequential(trunk, nn.Linear(64, 10))
optimizer = torch.optim.Adam(model[1].parameters(), lr=3e-3)

for epoch in range(8):
    for batch, target in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch), target)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
