"""Residual digit classifier whose branches are scaled by a hundredth at the start (LayerScale):
their gradients are small, and meant to be."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(150)


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.scale = nn.Parameter(0.01 * torch.ones(width))

    def forward(self, x):
        return x + self.scale * self.down(F.gelu(self.up(self.norm(x))))


digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32)
x = (x - x.mean()) / x.std()
loader = DataLoader(TensorDataset(x, torch.tensor(digits.target)), batch_size=64, shuffle=True)
model = nn.Sequential(nn.Linear(64, 48), Block(48), Block(48), nn.LayerNorm(48), nn.Linear(48, 10))
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)

for epoch in range(8):
    for batch, labels in loader:
        loss = F.cross_entropy(model(batch), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
