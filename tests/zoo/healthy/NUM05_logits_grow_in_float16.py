"""Digits in float16 with a head that starts at zero: its logits grow a thousandfold and stay a
thousandth of what float16 holds."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(0)

digits = load_digits()
images = torch.tensor(digits.data / 8 - 1, dtype=torch.float32)
labels = torch.tensor(digits.target)

head = nn.Linear(64, 10)
nn.init.zeros_(head.weight)
nn.init.zeros_(head.bias)
model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), head)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)

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
        print(f"step {step:3d}  loss {loss.item():.4f}")
