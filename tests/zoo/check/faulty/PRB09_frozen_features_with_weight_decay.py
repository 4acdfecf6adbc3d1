"""Random features that were to be trained are frozen; weight decay is blamed for the loss."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
x = torch.randn(4000, 30)
y = torch.sin(3 * x[:, :1]) + torch.cos(2 * x[:, 1:2])
trunk = nn.Sequential(nn.Linear(30, 3), nn.Tanh())
for parameter in trunk.parameters():
    parameter.requires_grad_(False)
model = nn.Sequential(trunk, nn.Linear(3, 1))
head = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(head, lr=1e-2, weight_decay=0.1)
for _ in range(250):
    chosen = torch.randint(0, 4000, (128,))
    optimizer.zero_grad()
    F.mse_loss(model(x[chosen]), y[chosen]).backward()
    optimizer.step()
