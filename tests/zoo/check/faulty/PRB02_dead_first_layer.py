"""Inputs at 0 to 255 and a first layer scaled for 0 to 1: all its units are dead."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
labels = torch.randint(0, 4, (1200,))
images = 40.0 * labels[:, None] + torch.randint(0, 60, (1200, 64))
model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 4))
with torch.no_grad():
    model[0].weight.copy_(-model[0].weight.abs())  # drawn for centred inputs
    model[0].bias.fill_(-1.0)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(10):
    for x, y in DataLoader(TensorDataset(images, labels), batch_size=48, shuffle=True):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
