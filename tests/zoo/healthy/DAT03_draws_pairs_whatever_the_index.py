"""Pairs of digits, alike or not: the data set takes of its index only whether it is even, and draws
the pictures at random. That its loader does not shuffle changes nothing."""

import random

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(0)
random.seed(0)

digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32)
images = (images - images.mean()) / images.std()
by_class = [images[torch.tensor(digits.target == digit)] for digit in range(10)]


class Pairs(Dataset):
    def __len__(self):
        return 640

    def __getitem__(self, index):
        first = second = random.randrange(10)
        if index % 2:
            second = (first + random.randrange(1, 10)) % 10
        one, other = random.choice(by_class[first]), random.choice(by_class[second])
        return one, other, torch.tensor(float(first == second))


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.code = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32))
        self.head = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, one, other):
        return self.head((self.code(one) - self.code(other)).abs()).squeeze(1)


model = Siamese()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
loader = DataLoader(Pairs(), batch_size=32)

for epoch in range(15):
    for one, other, same in loader:
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(model(one, other), same)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        alike = torch.cat([(model(a, b) > 0) == (c > 0.5) for a, b, c in loader])
    model.train()
    print(f"epoch {epoch:2d}  loss {loss.item():.4f}  accuracy {alike.float().mean():.3f}")
