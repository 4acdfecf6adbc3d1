"""Regressor whose weight decay is written by hand and grows the weights instead: by a percent per
step. In review: a plus in a line that runs after the optimizer."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(51)

x = torch.randn(2000, 10)
y = torch.sin(x[:, 0]) + x[:, 1] * x[:, 2]
model = nn.Sequential(nn.Linear(10, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh(), nn.Linear(48, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

for epoch in range(12):
    for rows in torch.randperm(len(x)).split(64):
        loss = F.mse_loss(model(x[rows]).squeeze(1), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for layer in (model[0], model[2]):
                layer.weight.mul_(1 + 0.01)
    print(f"epoch {epoch}  loss {loss.item():.4f}")
