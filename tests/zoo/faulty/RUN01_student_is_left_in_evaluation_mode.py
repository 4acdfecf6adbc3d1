"""Distillation: after the first look at its accuracy the student is never set to training again.

The teacher needs `eval()`, and the student gets it by mistake in every epoch: its batch norms keep
the statistics of an untrained network.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(72)
digits = load_digits()
images = (torch.tensor(digits.images, dtype=torch.float32)[:, None] - 4.9) / 6.0
labels = torch.tensor(digits.target)
batches = DataLoader(TensorDataset(images[:1400], labels[:1400]), 64, shuffle=True)


def network(width):
    return nn.Sequential(
        *(nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(width, 2 * width, 3, padding=1), nn.BatchNorm2d(2 * width), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2 * width, 10)),
    )


teacher, student = network(24), network(8)
optimizer = torch.optim.Adam(teacher.parameters(), lr=3e-3)
for _ in range(3):
    for x, y in batches:
        optimizer.zero_grad()
        F.cross_entropy(teacher(x), y).backward()
        optimizer.step()

optimizer = torch.optim.Adam(student.parameters(), lr=3e-3)
for _ in range(5):
    teacher.eval()
    student.eval()
    for x, y in batches:
        with torch.no_grad():
            soft = F.softmax(teacher(x) / 4, 1)
        scores = student(x)
        distance = F.kl_div(F.log_softmax(scores / 4, 1), soft, reduction="batchmean")
        loss = 0.9 * 16 * distance + 0.1 * F.cross_entropy(scores, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
