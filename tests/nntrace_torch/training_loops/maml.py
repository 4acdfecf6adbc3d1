"""MAML: an inner step by `autograd.grad` and `functional_call`, an outer `backward` through it."""

import torch
from torch import nn
from torch.func import functional_call

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for _ in range(60):
    optimizer.zero_grad()
    for _ in range(2):  # tasks
        phase = torch.rand(()) * 3
        x = torch.rand(20, 1) * 4 - 2
        y = torch.sin(x + phase)
        weights = dict(model.named_parameters())
        inner = nn.functional.mse_loss(functional_call(model, weights, (x[:10],)), y[:10])
        gradients = torch.autograd.grad(inner, list(weights.values()), create_graph=True)
        fast = {n: w - 0.05 * g for (n, w), g in zip(weights.items(), gradients, strict=True)}
        outer = nn.functional.mse_loss(functional_call(model, fast, (x[10:],)), y[10:])
        (outer / 2).backward()
    optimizer.step()
