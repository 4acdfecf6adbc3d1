"""Robust regression on the whole data at each step: the absolute error's gradient does not shrink
near the optimum, and the steps are so long that they jump over it for ever."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)

x = torch.randn(500, 5)
y = x @ torch.randn(5, 1) + 0.1 * torch.randn(500, 1)

model = nn.Sequential(nn.Linear(5, 32), nn.Tanh(), nn.Linear(32, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)

for step in range(200):
    loss = F.l1_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 < 2:
        print(f"step {step}  loss {loss.item():.4f}")
