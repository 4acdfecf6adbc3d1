"""Digits with momentum, which was given the decay of an average of weights."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(708)

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
images = (images - images.mean()) / images.std()
train = TensorDataset(images[:1500], torch.tensor(digits.target[:1500]))

model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 64, 10)
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.999)
for epoch in range(12):
    total = 0.0
    for x, y in DataLoader(train, batch_size=50, shuffle=True):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(f"epoch {epoch}  loss {total / 30:.4f}")
