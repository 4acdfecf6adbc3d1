"""Digit classifier of 1100 steps, evaluated on held-out images every 250."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(99)

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
images = (images - images.mean()) / images.std()
labels = torch.tensor(digits.target)

model = nn.Sequential(
    nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 10)
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)

for step in range(1100):
    rows = 300 + torch.randint(len(images) - 300, (32,))
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images[rows]), labels[rows])
    loss.backward()
    optimizer.step()
    if step % 250 == 249:
        model.eval()
        with torch.no_grad():
            right = (model(images[:300]).argmax(1) == labels[:300]).float().mean()
        model.train()
        print(f"step {step}  loss {loss.item():.4f}  accuracy {right:.3f}")
