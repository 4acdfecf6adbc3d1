"""Resumes from the checkpoint it finds, writes one every few steps and a log beside it."""

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
x = torch.randn(800, 6)
y = x[:, :2].sum(1, keepdim=True).tanh()
model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
folder = Path("checkpoints")
folder.mkdir(exist_ok=True)
if (folder / "last.pt").exists():
    model.load_state_dict(torch.load(folder / "last.pt"))
for step in range(220):
    chosen = torch.randint(0, 800, (64,))
    optimizer.zero_grad()
    loss = F.mse_loss(model(x[chosen]), y[chosen])
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        torch.save(model.state_dict(), folder / "last.pt")
        with open("log.csv", "a") as log:
            log.write(f"{step},{loss.item()}\n")
