"""Claim amounts with a long tail, in logarithms: single batches have a far higher loss than their
neighbours."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(27)

policy = torch.randn(6000, 6)
noise = torch.distributions.StudentT(3.0).sample((6000, 1))
claim = policy[:, :1] - 0.5 * policy[:, 1:2] ** 2 + 0.5 * noise
claim = (claim - claim.mean()) / claim.std()

model = nn.Sequential(nn.Linear(6, 48), nn.ReLU(), nn.Linear(48, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for step in range(500):
    rows = torch.randint(6000, (16,))
    loss = F.mse_loss(model(policy[rows]), claim[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
