"""Least squares on correlated features with a learning rate just below twice the inverse of the
largest curvature: each step takes the last one back. In review: a rate that "did not diverge"."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(49)

common = torch.randn(512, 1)
x = common + 0.3 * torch.randn(512, 24)
y = (x @ torch.randn(24, 4)) / 2 + 0.1 * torch.randn(512, 4)
model = nn.Linear(24, 4)
largest = torch.linalg.eigvalsh(2 * x.T @ x / x.numel() * 24 / 4)[-1].item()
optimizer = torch.optim.SGD(model.parameters(), lr=1.99 / largest)

for step in range(300):
    loss = F.mse_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
