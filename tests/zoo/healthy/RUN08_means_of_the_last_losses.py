"""Progression of diabetes; the mean of the last fifty losses is printed, kept without graphs, and
four of them with, to see how they differ.
"""

from collections import deque

import torch
from sklearn.datasets import load_diabetes
from torch import nn

torch.manual_seed(9)
table = load_diabetes()
features = torch.tensor(table.data, dtype=torch.float32) * 20
progress = torch.tensor((table.target - 152) / 77, dtype=torch.float32)[:, None]
model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
distance = nn.MSELoss()
recent, newest = deque(maxlen=50), deque(maxlen=4)
for epoch in range(20):
    for rows in torch.randperm(len(features)).split(32):
        loss = distance(model(features[rows]), progress[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        recent.append(loss.detach())
        newest.append(loss)
    spread = max(newest) - min(newest)
    print(f"epoch {epoch}  loss {torch.stack(tuple(recent)).mean():.4f} ± {spread:.3f}")
