"""Gated tumour classifier that ends in a sigmoid and is trained with nn.BCELoss, which wants
that."""

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(5)


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.value = nn.Linear(30, 24)
        self.gate = nn.Linear(30, 24)
        self.head = nn.Linear(24, 1)

    def forward(self, x):
        hidden = torch.relu(self.value(x)) * torch.sigmoid(self.gate(x))
        return torch.sigmoid(self.head(hidden)).squeeze(1)


data = load_breast_cancer()
features = torch.tensor(StandardScaler().fit_transform(data.data), dtype=torch.float32)
labels = torch.tensor(data.target, dtype=torch.float32)
loader = DataLoader(TensorDataset(features, labels), batch_size=32, shuffle=True)

model = Gated()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
criterion = nn.BCELoss()

for epoch in range(15):
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
