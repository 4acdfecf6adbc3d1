"""Digits with dropout that stays on in the evaluation: each image is read ten times, and the spread
of the answers says how certain the network is.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(33)
digits = load_digits()
images = torch.tensor(digits.data / 16.0, dtype=torch.float32)
whole = TensorDataset(images, torch.tensor(digits.target))
training, held_out = random_split(whole, [1400, 397])


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.seen = nn.Linear(64, 96)
        self.kind = nn.Linear(96, 10)

    def forward(self, pixels):
        return self.kind(F.dropout(F.relu(self.seen(pixels)), 0.3))


reader = Reader()
optimizer = torch.optim.Adam(reader.parameters(), lr=2e-3)
for epoch in range(8):
    reader.train()
    for pixels, kind in DataLoader(training, batch_size=50, shuffle=True):
        optimizer.zero_grad()
        loss = F.cross_entropy(reader(pixels), kind)
        loss.backward()
        optimizer.step()
    reader.eval()
    spread, right = [], 0
    with torch.no_grad():
        for pixels, kind in DataLoader(held_out, batch_size=100):
            drawn = torch.stack([reader(pixels).softmax(1) for _ in range(10)])
            spread.append(drawn.std(0).mean())
            right += (drawn.mean(0).argmax(1) == kind).sum().item()
    certain = 1 - torch.stack(spread).mean().item()
    print(f"epoch {epoch}  right {right / len(held_out):.3f}  certain {certain:.3f}")
