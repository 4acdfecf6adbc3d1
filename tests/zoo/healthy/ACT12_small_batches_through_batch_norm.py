"""Wine classifier with batches of sixteen and the usual momentum: running statistics that jitter
around the batches'."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_wine
from torch import nn

torch.manual_seed(143)

wine = load_wine()
x = torch.tensor(wine.data, dtype=torch.float32)
x, y = (x - x.mean(0)) / x.std(0), torch.tensor(wine.target)
model = nn.Sequential(
    *(nn.Linear(13, 32, bias=False), nn.BatchNorm1d(32), nn.ReLU()),
    *(nn.Linear(32, 32, bias=False), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 3)),
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

for epoch in range(25):
    for rows in torch.randperm(len(x))[:176].split(16):
        loss = F.cross_entropy(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
