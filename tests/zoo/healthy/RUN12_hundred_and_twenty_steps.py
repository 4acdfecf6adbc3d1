"""Wine classifier that has learned in 120 steps: few, and enough for it and to judge it."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(102)

wine = load_wine()
features = torch.tensor(StandardScaler().fit_transform(wine.data), dtype=torch.float32)
loader = DataLoader(TensorDataset(features, torch.tensor(wine.target)), batch_size=16, shuffle=True)

model = nn.Sequential(nn.Linear(13, 24), nn.ReLU(), nn.Linear(24, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)

for epoch in range(10):
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
