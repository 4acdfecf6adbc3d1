"""Digit classifier that standardises its features with NumPy between trunk and head; the round trip
cuts the graph, so the trunk stays random. In review: `.detach().numpy()` inside `forward`."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(19)


class DigitNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2), nn.ReLU()
        )
        self.head = nn.Sequential(nn.Linear(72, 32), nn.ReLU(), nn.Linear(32, 10))

    def forward(self, x):
        features = self.trunk(x).flatten(1).detach().numpy()
        features = (features - features.mean(0)) / np.maximum(features.std(0), 1e-3)
        return self.head(torch.from_numpy(features))


digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
images = (images - images.mean()) / images.std()
loader = DataLoader(TensorDataset(images, torch.tensor(digits.target)), batch_size=64, shuffle=True)

model = DigitNet()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
criterion = nn.CrossEntropyLoss()

for epoch in range(10):
    for batch, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(batch), labels)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
