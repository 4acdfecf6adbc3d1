"""Digits through batch norms; the average of the weights has no running statistics."""

import copy

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(61)


class Average:
    def __init__(self, model, decay=0.9):
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model):
        for mean, weight in zip(self.model.parameters(), model.parameters(), strict=True):
            mean.lerp_(weight, 1.0 - self.decay)


digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 4.0
labels = torch.tensor(digits.target)
order = torch.randperm(len(images))
train, test = order[:1500], order[1500:]

model = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(12, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(), nn.Flatten(),
    nn.Linear(24 * 16, 10),
)  # fmt: skip
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
average = Average(model)

for epoch in range(6):
    for rows in train[torch.randperm(len(train))].split(50):
        loss = nn.functional.cross_entropy(model(images[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        average.update(model)
    with torch.no_grad():
        scores = average.model(images[test])
        score = nn.functional.cross_entropy(scores, labels[test])
    print(f"epoch {epoch}  loss {loss.item():.4f}  of the average {score.item():.4f}")
