"""Autoencoder of 256 sensors under float16 autocast, without a `GradScaler`: a loss averaged over
the batch twice makes gradients of 1e-7, which float16 mostly rounds to 0."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)

basis = torch.randn(8, 256) / 8
signals = torch.randn(2000, 8) @ basis + 0.01 * torch.randn(2000, 256)

model = nn.Sequential(nn.Linear(256, 64), nn.Tanh(), nn.Linear(64, 256))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for step in range(150):
    batch = signals[torch.randint(2000, (128,))]
    with torch.autocast("cpu", torch.float16):
        rebuilt = model(batch)
    loss = F.mse_loss(rebuilt.float(), batch) / len(batch)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step:3d}  loss {loss.item():.5f}")
