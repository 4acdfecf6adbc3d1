"""Wines by their chemistry; the softmax says `dim=0`, so that the wines of a batch compete."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(21)
wine = load_wine()
chemistry = torch.tensor(StandardScaler().fit_transform(wine.data), dtype=torch.float32)
grapes = torch.tensor(wine.target)


class Taster(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Linear(32, 3))

    def forward(self, measured):
        return F.log_softmax(self.layers(measured), dim=0)


taster = Taster()
optimizer = torch.optim.Adam(taster.parameters(), lr=2e-3)
loader = DataLoader(TensorDataset(chemistry, grapes), batch_size=32, shuffle=True)
for epoch in range(20):
    for measured, grape in loader:
        optimizer.zero_grad()
        loss = F.nll_loss(taster(measured), grape)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.3f}")
