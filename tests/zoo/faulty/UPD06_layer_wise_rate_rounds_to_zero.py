"""Digit classifier with layer-wise learning rates, the deeper the faster; the factor is an integer
division, zero for all but the last layer. In review: `//` where `/` was meant."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(24)


class DigitNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, padding=1)
        self.conv2 = nn.Conv2d(12, 16, 3, stride=2, padding=1)
        self.fc = nn.Linear(256, 64)
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.conv2(F.relu(self.conv1(x))))
        return self.head(F.relu(self.fc(x.flatten(1))))


digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
images = (images - images.mean()) / images.std()
loader = DataLoader(TensorDataset(images, torch.tensor(digits.target)), batch_size=64, shuffle=True)

model = DigitNet()
layers = list(model.children())
groups = [
    {"params": layer.parameters(), "lr": 0.02 * (depth // len(layers))}
    for depth, layer in enumerate(layers, start=1)
]
optimizer = torch.optim.SGD(groups, lr=0.02, momentum=0.9)

for epoch in range(8):
    for batch, labels in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch), labels)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
