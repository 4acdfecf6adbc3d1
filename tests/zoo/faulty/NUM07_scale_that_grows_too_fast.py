"""Convolutional classifier in float16 whose loss scale grows a thousandfold after every second good
step: steps are taken and thrown away in turn. In review: `growth_factor` read as a percentage."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(148)

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
images, label = (images - images.mean()) / images.std(), torch.tensor(digits.target)
model = nn.Sequential(
    nn.Conv2d(1, 12, 3, stride=2), nn.SiLU(), nn.Flatten(), nn.Linear(108, 48), nn.SiLU()
)
model.append(nn.Linear(48, 10))
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
scaler = torch.amp.GradScaler(
    "cpu", init_scale=1024.0, growth_factor=1000.0, backoff_factor=0.001, growth_interval=2
)

for epoch in range(5):
    for rows in torch.randperm(len(images)).split(64):
        with torch.autocast("cpu", torch.float16):
            loss = F.cross_entropy(model(images[rows]), label[rows])
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    print(f"epoch {epoch}  loss {loss.item():.4f}  scale {scaler.get_scale():.3g}")
