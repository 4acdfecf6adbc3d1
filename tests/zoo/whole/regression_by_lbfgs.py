"""Small regression by LBFGS with a closure and a line search, the whole set at once."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(315)

x = torch.linspace(-2, 2, 300).unsqueeze(1)
y = torch.sin(3 * x) + 0.1 * torch.randn(300, 1)
model = nn.Sequential(nn.Linear(1, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 1))
optimizer = torch.optim.LBFGS(model.parameters(), max_iter=5, line_search_fn="strong_wolfe")


def closure():
    optimizer.zero_grad()
    loss = F.mse_loss(model(x), y)
    loss.backward()
    return loss


for step in range(60):
    loss = optimizer.step(closure)
    if step % 10 == 0:
        print(f"step {step}  loss {loss.item():.5f}")
