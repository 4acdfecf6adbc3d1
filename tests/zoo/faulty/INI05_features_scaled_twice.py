"""Tanh network for digits that multiplies its normalised inputs by eight, a factor left from raw
pixels: most units start at their ends. In review: a constant in `forward`."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(33)


class TanhNet(nn.Module):
    def __init__(self, scale=8.0):
        super().__init__()
        self.scale = scale
        self.one, self.tanh_one = nn.Linear(64, 96), nn.Tanh()
        self.two, self.tanh_two = nn.Linear(96, 48), nn.Tanh()
        self.head = nn.Linear(48, 10)

    def forward(self, x):
        hidden = self.tanh_one(self.one(x * self.scale))
        return self.head(self.tanh_two(self.two(hidden)))


digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32)
x = (x - x.mean()) / x.std()
loader = DataLoader(TensorDataset(x, torch.tensor(digits.target)), batch_size=64, shuffle=True)
model = TanhNet()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

for epoch in range(8):
    for batch, labels in loader:
        loss = F.cross_entropy(model(batch), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
