"""Fine-tuning with a rate per layer: the trunk, trained on the other digits, has a thousandth of
the head's, which is meant."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(63)

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
images = (images - images.mean()) / images.std()
labels = torch.tensor(digits.target)

trunk = nn.Sequential(
    *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU()),
    *(nn.Conv2d(16, 16, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten()),
)


def train(model, optimizer, x, y, steps):
    for step in range(steps):
        rows = torch.randint(len(x), (64,))
        loss = F.cross_entropy(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 50 == 0:
            print(f"step {step}  loss {loss.item():.4f}")


known = labels < 5
first = nn.Sequential(trunk, nn.Linear(256, 5))
train(first, torch.optim.SGD(first.parameters(), 0.05, 0.9), images[known], labels[known], 150)

head = nn.Linear(256, 5)
groups = [
    {"params": trunk.parameters(), "lr": 2e-5},
    {"params": head.parameters(), "lr": 2e-2},
]
model = nn.Sequential(trunk, head)
train(model, torch.optim.SGD(groups, momentum=0.9), images[~known], labels[~known] - 5, 150)
