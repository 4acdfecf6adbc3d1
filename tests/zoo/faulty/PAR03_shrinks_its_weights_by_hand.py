"""Forecast by temporal convolutions with weight decay written out, `w *= 1 - decay` after every
step. The decay of 0.1 was meant to be multiplied by the learning rate first."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(152)
DECAY = 0.1

time = torch.arange(3000) / 8
series = time.sin() + 0.5 * (2.3 * time).cos() + 0.1 * torch.randn(3000)
windows = ((series - series.mean()) / series.std()).unfold(0, 25, 1)
model = nn.Sequential(
    nn.Conv1d(1, 16, 5),
    nn.Tanh(),
    nn.Conv1d(16, 16, 5, dilation=2),
    nn.Tanh(),
    nn.Flatten(),
    nn.Linear(192, 1),
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.02)

for step in range(250):
    window = windows[torch.randint(len(windows), (32,))]
    loss = F.mse_loss(model(window[:, None, :24]), window[:, 24:])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 1 - DECAY
    if step % 25 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
