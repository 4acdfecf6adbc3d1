"""Regression on heavy-tailed targets under Huber's loss: batches differ, none throws the model
back."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(146)

x = torch.randn(4000, 12)
noise = torch.distributions.StudentT(2.5).sample((4000,))
y = x[:, 0] + torch.sin(2 * x[:, 1]) + 0.3 * noise
model = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

for epoch in range(6):
    for rows in torch.randperm(len(x)).split(64):
        loss = F.huber_loss(model(x[rows]).squeeze(1), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
