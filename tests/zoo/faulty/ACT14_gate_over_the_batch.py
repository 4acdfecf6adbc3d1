"""Digits by a mixture of experts whose gate is a softmax over axis 0, the examples of the batch."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(11)

digits = load_digits()
images = torch.tensor(digits.data / 8 - 1, dtype=torch.float32)
loader = DataLoader(TensorDataset(images, torch.tensor(digits.target)), batch_size=64, shuffle=True)


class Experts(nn.Module):
    def __init__(self, number=4):
        super().__init__()
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)) for _ in range(number)
        )
        self.gate = nn.Sequential(nn.Linear(64, number), nn.Softmax(dim=0))

    def forward(self, x):
        opinions = torch.stack([expert(x) for expert in self.experts], 1)
        return (self.gate(x).unsqueeze(-1) * opinions).sum(1)


model = Experts()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(10):
    for x, y in loader:
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
