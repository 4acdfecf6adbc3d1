"""Cosine schedule with warm restarts written by hand: after a restart the rate was typed with one
digit too many for a few steps."""

import math

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(26)

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
images = (images - images.mean()) / images.std()
labels = torch.tensor(digits.target)

model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 64, 10)
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


def rate(step):
    cycle, place = divmod(step, 150)
    if cycle and place < 4:
        return 5.0
    return 0.05 * (0.05 + 0.95 * (1 + math.cos(math.pi * place / 150)) / 2)


for step in range(300):
    optimizer.param_groups[0]["lr"] = rate(step)
    rows = torch.randint(len(images), (64,))
    loss = F.cross_entropy(model(images[rows]), labels[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
