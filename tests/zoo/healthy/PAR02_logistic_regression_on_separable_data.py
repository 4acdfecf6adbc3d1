"""Logistic regression on separable data: weights grow for as long as it is trained, and the loss
falls."""

import torch
import torch.nn.functional as F
from sklearn.datasets import make_blobs
from torch import nn

torch.manual_seed(151)

x, y = make_blobs(600, n_features=10, centers=2, cluster_std=1.5, random_state=5)
x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
x = (x - x.mean(0)) / x.std(0)
model = nn.Linear(10, 1)
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)

for epoch in range(25):
    for rows in torch.randperm(len(x)).split(50):
        loss = F.binary_cross_entropy_with_logits(model(x[rows]).squeeze(1), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
