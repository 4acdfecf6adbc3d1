"""Autoencoder of 256 sensors under float16 autocast with a `GradScaler`: the gradients are as
small, and float16 holds them 65536 times as large."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)

basis = torch.randn(8, 256) / 8
signals = torch.randn(2000, 8) @ basis + 0.01 * torch.randn(2000, 256)

model = nn.Sequential(nn.Linear(256, 64), nn.Tanh(), nn.Linear(64, 256))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
scaler = torch.amp.GradScaler("cpu")

for step in range(150):
    batch = signals[torch.randint(2000, (128,))]
    with torch.autocast("cpu", torch.float16):
        rebuilt = model(batch)
    loss = F.mse_loss(rebuilt.float(), batch) / len(batch)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if step % 25 == 0:
        print(f"step {step:3d}  loss {loss.item():.5f}")
