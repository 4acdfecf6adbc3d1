"""Regression whose linear warm-up is written into the optimizer's defaults: they are for parameter
groups that are added later."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_diabetes
from torch import nn

torch.manual_seed(42)

data = load_diabetes(scaled=False)
x = torch.tensor(data.data, dtype=torch.float32)
y = torch.tensor(data.target, dtype=torch.float32).unsqueeze(1)
x, y = (x - x.mean(0)) / x.std(0), (y - y.mean()) / y.std()

model = nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)

for step in range(300):
    optimizer.defaults["lr"] = 0.02 * min(1.0, (step + 1) / 100)
    chosen = torch.randint(len(x), (64,))
    optimizer.zero_grad()
    loss = F.mse_loss(model(x[chosen]), y[chosen])
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
