"""Binary classifier with its own cross-entropy, `y·log(p) + (1 − y)·log(1 − p)`: from a logit of 17
on p is exactly 1, and 0 · log(0) is NaN. In review: a loss that is correct on paper."""

import torch
from torch import nn

torch.manual_seed(3)

features = torch.randn(2000, 10)
label = (features @ torch.randn(10, 1) > 0).float()

model = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)

for step in range(400):
    rows = torch.randint(2000, (50,))
    p = torch.sigmoid(model(features[rows]))
    loss = -(label[rows] * torch.log(p) + (1 - label[rows]) * torch.log(1 - p)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
