"""Regression whose gradients are cleared after the backward pass, before the optimizer acts."""

import torch
from torch import nn

torch.manual_seed(18)

inputs = torch.randn(500, 10)
targets = 2.0 * inputs[:, :1] - inputs[:, 1:2]
model = nn.Sequential(nn.Linear(10, 50), nn.Tanh(), nn.Linear(50, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
loss_function = nn.MSELoss()
for _ in range(200):
    chosen = torch.randint(0, 500, (25,))
    loss = loss_function(model(inputs[chosen]), targets[chosen])
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
print(f"loss {loss.item():.3f}")
