"""A small network is given a head for five classes, when its optimizer has been built already."""

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(45)


class Reader(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 24, 3, padding=1), nn.ReLU()
        )
        self.head = nn.Linear(24 * 16, classes)

    def forward(self, images):
        return self.head(nn.functional.max_pool2d(self.body(images), 2).flatten(1))


digits = load_digits(n_class=5)
images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16.0 - 0.3
labels = torch.tensor(digits.target)
model = Reader(classes=100)
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
model.head = nn.Linear(model.head.in_features, 5)

for epoch in range(8):
    for rows in torch.randperm(len(images)).split(32):
        loss = nn.functional.cross_entropy(model(images[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
