"""Forecasts each next value of a series. The LSTM reads the window from both ends, and so the value
that it is to forecast.
"""

import torch
from torch import nn

torch.manual_seed(0)
time = torch.arange(4000.0)
series = torch.sin(time / 7) * torch.sin(time / 40) + 0.05 * torch.randn(4000)


class Forecast(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.memory = nn.LSTM(1, width, batch_first=True, bidirectional=True)
        self.head = nn.Linear(width, 1)

    def forward(self, window):
        out, _ = self.memory(window)
        there, back = out.chunk(2, dim=-1)
        return self.head(there + back)


model = Forecast()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(400):
    starts = torch.randint(0, 3900, (32,))
    windows = torch.stack([series[start : start + 25] for start in starts])[..., None]
    loss = nn.functional.mse_loss(model(windows[:, :-1]), windows[:, 1:])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 80 == 0:
        print(f"step {step}  loss {loss.item():.5f}")
