"""Each epoch shuffles inputs and targets, with two permutations."""

import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(8192, 6)
y = (x[:, :2].sum(1, keepdim=True)).sin()
model = nn.Sequential(nn.Linear(6, 48), nn.Tanh(), nn.Linear(48, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for _ in range(2):
    inputs, targets = x[torch.randperm(8192)], y[torch.randperm(8192)]
    for begin in range(0, 8192, 32):
        predicted = model(inputs[begin : begin + 32])
        loss = ((predicted - targets[begin : begin + 32]) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
