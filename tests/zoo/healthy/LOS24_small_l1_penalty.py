"""Sparse regression: an L1 penalty that is larger than the error at the end, when the data fit."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(32)

x = torch.randn(2000, 30)
y = x[:, :3] @ torch.tensor([[0.8], [-0.6], [0.4]]) + 0.05 * torch.randn(2000, 1)

model = nn.Linear(30, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.02)

for step in range(400):
    rows = torch.randint(2000, (64,))
    loss = F.mse_loss(model(x[rows]), y[rows]) + 0.02 * model.weight.abs().sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 80 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
