"""Digits with two questions: how many strokes wide, and which digit. The second head ends in a
softmax, and the loss applies another.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(5)
digits = load_digits()
images = torch.tensor(digits.data / 16.0, dtype=torch.float32)
kinds = torch.tensor(digits.target)
ink = images.mean(1, keepdim=True)
ink = (ink - ink.mean()) / ink.std()


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(64, 48), nn.ReLU())
        self.amount = nn.Linear(48, 1)
        self.kind = nn.Sequential(nn.Linear(48, 10), nn.Softmax(dim=1))

    def forward(self, pixels):
        seen = self.trunk(pixels)
        return self.amount(seen), self.kind(seen)


reader = Reader()
optimizer = torch.optim.Adam(reader.parameters(), lr=2e-3)
loader = DataLoader(TensorDataset(images, ink, kinds), batch_size=64, shuffle=True)
for _ in range(6):
    for pixels, how_much, which in loader:
        guess, shares = reader(pixels)
        loss = F.mse_loss(guess, how_much)
        loss = loss + F.cross_entropy(shares, which)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
