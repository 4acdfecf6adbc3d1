"""Digit classifier whose data set reads each image over a network, enlarges and blurs it when it
is asked for one, in the training process itself: the model waits for its data most of the time."""

import time

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(7)


class Augmented(Dataset):
    def __init__(self):
        digits = load_digits()
        images = torch.tensor(digits.images, dtype=torch.float32)
        self.images = (images - images.mean()) / images.std()
        self.labels = torch.tensor(digits.target)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        time.sleep(0.0007)  # the network
        image = self.images[index][None, None]
        for _ in range(4):
            image = F.interpolate(image, scale_factor=4.0, mode="bilinear")
            image = F.avg_pool2d(image, 4)
        return image.flatten() + 0.1 * torch.randn(64), self.labels[index]


loader = DataLoader(Augmented(), batch_size=64, shuffle=True)
model = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 48), nn.ReLU(), nn.Linear(48, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)

for epoch in range(3):
    for images, labels in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch:2d}  loss {loss.item():.4f}")
