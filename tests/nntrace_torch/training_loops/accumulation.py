"""Gradient accumulation: four micro-batches a step, the last step of an epoch has fewer."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
images, labels = map(torch.tensor, load_digits(return_X_y=True))
data = TensorDataset((images.float() - 4.9) / 6.0, labels)
model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
ACCUMULATE = 4
for _ in range(5):
    loader = DataLoader(data, batch_size=24, shuffle=True)
    for number, (inputs, targets) in enumerate(loader, 1):
        loss = nn.functional.cross_entropy(model(inputs), targets) / ACCUMULATE
        loss.backward()
        if number % ACCUMULATE == 0 or number == len(loader):
            optimizer.step()
            optimizer.zero_grad()
