"""Digits in float16 whose scaler begins at 2**30 and skips the first steps until it has found its
scale: that is how it works."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(0)

digits = load_digits()
images = torch.tensor(digits.data / 8 - 1, dtype=torch.float32)
labels = torch.tensor(digits.target)

model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**30)

for step in range(200):
    rows = torch.randint(len(images), (64,))
    with torch.autocast("cpu", torch.float16):
        logits = model(images[rows])
    loss = F.cross_entropy(logits.float(), labels[rows])
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if step % 40 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}  scale {scaler.get_scale():g}")
