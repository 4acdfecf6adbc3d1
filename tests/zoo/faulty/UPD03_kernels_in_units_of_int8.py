"""Digit classifier whose second convolution keeps its kernels in units of an 8-bit integer, for a
chip, and scales them in `forward`: what plain SGD adds to them is lost beside their size."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(61)

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
images = (images - images.mean()) / images.std()
loader = DataLoader(TensorDataset(images, torch.tensor(digits.target)), batch_size=64, shuffle=True)


class Integer(nn.Module):
    def __init__(self, inputs, outputs, scale=1 / 512):
        super().__init__()
        self.scale = scale
        self.kernel = nn.Parameter(torch.randn(outputs, inputs, 3, 3) / (9 * inputs) ** 0.5 / scale)

    def forward(self, x):
        return F.conv2d(x, self.kernel * self.scale, padding=1)


model = nn.Sequential(
    *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
    *(Integer(16, 16), nn.ReLU(), nn.Flatten(), nn.Linear(256, 10)),
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.02)

for epoch in range(8):
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
