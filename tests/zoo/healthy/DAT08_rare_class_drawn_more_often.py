"""Tumour classifier that draws the rarer class more often by a weighted sampler: that examples
come back within an epoch is the very purpose of drawing with replacement."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

torch.manual_seed(4)

cancer = load_breast_cancer()
x = torch.tensor(StandardScaler().fit_transform(cancer.data)).float()
y = torch.tensor(cancer.target)
weights = (1.0 / torch.bincount(y).float())[y]
sampler = WeightedRandomSampler(weights, num_samples=len(y), replacement=True)
loader = DataLoader(TensorDataset(x, y), batch_size=32, sampler=sampler)

model = nn.Sequential(nn.Linear(30, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-3)

for epoch in range(15):
    for features, diagnosis in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(features), diagnosis)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch:2d}  loss {loss.item():.4f}")
