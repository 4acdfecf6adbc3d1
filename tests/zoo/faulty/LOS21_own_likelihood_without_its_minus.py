"""Digit classifier with a cross-entropy written out, whose minus was forgotten."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(22)

digits = load_digits()
images = torch.tensor(digits.data / 8 - 1, dtype=torch.float32)
classes = nn.functional.one_hot(torch.tensor(digits.target), 10).float()
loader = DataLoader(TensorDataset(images, classes), batch_size=64, shuffle=True)

model = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

for epoch in range(8):
    for x, y in loader:
        loss = (y * torch.log_softmax(model(x), dim=1)).sum(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
