"""Forecasts twelve hours of a load curve from two days with dilated convolutions; the last fifth of
the series is for validation."""

import torch
from torch import nn

torch.manual_seed(77)

hour = torch.arange(6000.0)
load = torch.sin(hour * 6.283 / 24) + 0.4 * torch.sin(hour * 6.283 / 168)
load = load + 0.1 * torch.randn(6000)
load = (load - load[:4800].mean()) / load[:4800].std()
windows = load.unfold(0, 60, 1)
train, valid = windows[:4700], windows[4800:]

model = nn.Sequential(
    *(nn.Conv1d(1, 16, 3, dilation=2), nn.ReLU(), nn.Conv1d(16, 16, 3, dilation=4), nn.ReLU()),
    *(nn.Conv1d(16, 16, 3, dilation=8), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 20, 12)),
)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
criterion = nn.SmoothL1Loss()

for step in range(250):
    batch = train[torch.randint(len(train), (64,))]
    loss = criterion(model(batch[:, None, :48]), batch[:, 48:])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 49:
        with torch.no_grad():
            error = criterion(model(valid[:, None, :48]), valid[:, 48:]).item()
        print(f"step {step}  loss {loss.item():.4f}  validation {error:.4f}")
