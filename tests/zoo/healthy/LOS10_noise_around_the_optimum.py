"""Robust regression by batches of 32: the loss goes up and down with the batches, in two of three
steps against the one before."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)

x = torch.randn(2000, 5)
y = x @ torch.randn(5, 1) + 0.3 * torch.randn(2000, 1)

model = nn.Linear(5, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

for step in range(250):
    rows = torch.randint(2000, (32,))
    loss = F.l1_loss(model(x[rows]), y[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
