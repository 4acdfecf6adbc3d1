"""Progression of diabetes; the losses of an epoch are added up to print their mean, with all their
graphs.
"""

import torch
from sklearn.datasets import load_diabetes
from torch import nn

torch.manual_seed(8)
table = load_diabetes()
features = torch.tensor(table.data, dtype=torch.float32) * 20
progress = torch.tensor((table.target - 152) / 77, dtype=torch.float32)[:, None]
model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
distance = nn.MSELoss()
for epoch in range(20):
    total = 0
    for rows in torch.randperm(len(features)).split(32):
        loss = distance(model(features[rows]), progress[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss
    print(f"epoch {epoch}  loss {total / 14:.4f}")
