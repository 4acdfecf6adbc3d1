"""Residual network for enlarged digits whose stem is kept as it is, as one does with a trained one;
this one was drawn a second ago. The layers behind it learn to live with noise."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(171)


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.one = nn.Conv2d(width, width, 3, padding=1)
        self.two = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x):
        return F.relu(x + self.two(F.relu(self.one(x))))


class Network(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.stem = nn.Conv2d(1, width, 7, stride=2)
        self.block = Residual(width)
        self.out = nn.Linear(width * 9, 10)

    def forward(self, x):
        x = self.block(F.max_pool2d(F.relu(self.stem(x)), 3))
        return self.out(x.flatten(1))


digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
images = F.interpolate((images - images.mean()) / images.std(), size=24, mode="bilinear")
labels = torch.tensor(digits.target)
model = Network()
model.stem.requires_grad_(False)
learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
optimizer = torch.optim.SGD(learning, lr=0.05, momentum=0.9)

for epoch in range(8):
    for rows in torch.randperm(len(images)).split(48):
        loss = F.cross_entropy(model(images[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
