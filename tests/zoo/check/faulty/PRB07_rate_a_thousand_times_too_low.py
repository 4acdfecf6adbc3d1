"""A rate for summed losses kept when the loss became a mean."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
x = torch.randn(3000, 12)
y = x[:, :3].sum(1, keepdim=True).tanh()
model = nn.Sequential(nn.Linear(12, 48), nn.ReLU(), nn.Linear(48, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=5e-5, momentum=0.9)
for _ in range(300):
    chosen = torch.randint(0, 3000, (100,))
    optimizer.zero_grad()
    F.mse_loss(model(x[chosen]), y[chosen]).backward()
    optimizer.step()
