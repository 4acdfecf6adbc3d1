"""Digit classifier with an auxiliary reconstruction at a weight of 0.1, which is small beside the
cross-entropy and falls with it."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(34)

digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32)
images = (images - images.mean()) / images.std()
loader = DataLoader(TensorDataset(images, torch.tensor(digits.target)), batch_size=64, shuffle=True)


class Both(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 48), nn.ReLU())
        self.head = nn.Linear(48, 10)
        self.decoder = nn.Linear(48, 64)

    def forward(self, x):
        hidden = self.body(x)
        return self.head(hidden), self.decoder(hidden)


model = Both()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(12):
    for x, y in loader:
        logits, again = model(x)
        loss = F.cross_entropy(logits, y) + 0.1 * F.mse_loss(again, x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
