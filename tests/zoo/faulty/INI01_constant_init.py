"""Digit classifier with an "unbiased" home-made initialisation: every weight is 1 / fan_in, so that
all units of a layer compute the same. In review: `constant_` where a random draw belongs."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(11)


def initialise(module):
    if isinstance(module, nn.Linear):
        nn.init.constant_(module.weight, 1 / module.in_features)
        nn.init.zeros_(module.bias)


digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32)
images = (images - images.mean()) / images.std()
loader = DataLoader(TensorDataset(images, torch.tensor(digits.target)), batch_size=64, shuffle=True)

model = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 10))
model.apply(initialise)
optimizer = torch.optim.Adam(model.parameters(), lr=5e-4)

for epoch in range(10):
    for batch, labels in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch), labels)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
