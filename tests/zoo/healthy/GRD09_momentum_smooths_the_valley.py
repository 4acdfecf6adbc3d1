"""Least squares with momentum and half of the largest stable learning rate."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(149)

common = torch.randn(512, 1)
x = common + 0.3 * torch.randn(512, 24)
y = (x @ torch.randn(24, 4)) / 5 + 0.1 * torch.randn(512, 4)
model = nn.Linear(24, 4)
largest = torch.linalg.eigvalsh(2 * x.T @ x / x.numel() * 24 / 4)[-1].item()
optimizer = torch.optim.SGD(model.parameters(), lr=0.5 / largest, momentum=0.8)

for step in range(300):
    rows = torch.randperm(len(x))[:480]
    loss = F.mse_loss(model(x[rows]), y[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
