"""Digit classifier that shuffles images and labels at each epoch, each with a permutation of its
own, so that no image keeps its label. In review: two `randperm` calls where one was meant."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(9)

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
images = (images - images.mean()) / images.std()
labels = torch.tensor(digits.target)

model = nn.Sequential(
    nn.Conv2d(1, 16, 3, stride=2, padding=1),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(256, 64),
    nn.ReLU(),
    nn.Linear(64, 10),
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)


def epoch_batches(size):
    shuffled_images = images[torch.randperm(len(images))]
    shuffled_labels = labels[torch.randperm(len(labels))]
    return zip(shuffled_images.split(size), shuffled_labels.split(size), strict=True)


for epoch in range(15):
    total = 0.0
    for batch, target in epoch_batches(64):
        loss = F.cross_entropy(model(batch), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    print(f"epoch {epoch:2d}  loss {total / len(images):.4f}")
