"""Gated recurrent cell written by hand and called in a loop over the rows of a digit."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(316)


class Cell(nn.Module):
    def __init__(self, inputs, width):
        super().__init__()
        self.gates = nn.Linear(inputs + width, 2 * width)
        self.new = nn.Linear(inputs + width, width)

    def forward(self, x, state):
        update, reset = torch.sigmoid(self.gates(torch.cat([x, state], 1))).chunk(2, 1)
        fresh = torch.tanh(self.new(torch.cat([x, reset * state], 1)))
        return torch.lerp(state, fresh, update)


class RowByRow(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        self.width = width
        self.cell, self.head = Cell(8, width), nn.Linear(width, 10)

    def forward(self, images):
        state = torch.zeros(len(images), self.width)
        for row in images.unbind(1):
            state = self.cell(row, state)
        return self.head(state)


digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32)
images = (images - images.mean()) / images.std()
loader = DataLoader(TensorDataset(images, torch.tensor(digits.target)), batch_size=64, shuffle=True)
model = RowByRow()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

for epoch in range(6):
    for x, y in loader:
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
