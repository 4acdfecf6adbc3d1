"""The filter for parameters without weight decay was used for all of them: weights never move."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
features = torch.randn(2000, 20)
targets = torch.sin(features @ torch.randn(20, 1))
model = nn.Sequential(nn.Linear(20, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
biases = [p for name, p in model.named_parameters() if name.endswith("bias")]
optimizer = torch.optim.AdamW(biases, lr=3e-3)
for _ in range(400):
    chosen = torch.randint(0, 2000, (128,))
    loss = F.mse_loss(model(features[chosen]), targets[chosen])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
