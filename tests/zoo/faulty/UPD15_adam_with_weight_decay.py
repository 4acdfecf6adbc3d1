"""Tumour classifier (scikit-learn's breast cancer set): `weight_decay` given to Adam, which divides
it by the gradient's size, and not to AdamW."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(82)

data = load_breast_cancer()
features = torch.tensor(StandardScaler().fit_transform(data.data), dtype=torch.float32)
labels = torch.tensor(data.target, dtype=torch.float32)
loader = DataLoader(TensorDataset(features, labels), batch_size=32, shuffle=True)

model = nn.Sequential(nn.Linear(30, 24), nn.ReLU(), nn.Linear(24, 1))
groups = [
    {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": 1e-2},
    {"params": [p for p in model.parameters() if p.ndim == 1]},
]
optimizer = torch.optim.Adam(groups, lr=2e-3)

for epoch in range(15):
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(model(x).squeeze(1), y)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
