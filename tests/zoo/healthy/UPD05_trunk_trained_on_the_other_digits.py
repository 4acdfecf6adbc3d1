"""Digit classifier whose trunk is trained on half of the digits, then frozen under a new head."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(315)

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
images = (images - images.mean()) / images.std()
labels = torch.tensor(digits.target)
train = TensorDataset(images[:1500], labels[:1500])
loader = DataLoader(train, batch_size=50, shuffle=True)

trunk = nn.Sequential(
    nn.Conv2d(1, 24, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(24, 32, 3, padding=1),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(512, 64),
    nn.ReLU(),
)


def fit(model, parameters, examples, epochs):
    optimizer = torch.optim.Adam(parameters, lr=2e-3)
    for epoch in range(epochs):
        for batch, target in DataLoader(examples, batch_size=50, shuffle=True):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(batch), target)
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch}  loss {loss.item():.4f}")


low = labels[:1500] < 5
small = TensorDataset(images[:1500][low], labels[:1500][low])
before = nn.Sequential(trunk, nn.Linear(64, 5))
fit(before, before.parameters(), small, epochs=10)
trunk.requires_grad_(False)
head = nn.Linear(64, 10)
fit(nn.Sequential(trunk, head), head.parameters(), train, epochs=6)
