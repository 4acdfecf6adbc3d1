"""Forecasts the change of the wind from a day of barometer and thermometer readings by an LSTM.
Readings are in hectopascal and kelvin, a thousand and three hundred, give or take a few."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(94)


class Forecast(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(2, 32, batch_first=True)
        self.out = nn.Linear(32, 1)

    def forward(self, readings):
        states, _ = self.lstm(readings)
        return self.out(states[:, -1]).squeeze(1)


hours = 4000
pressure = 1013 + torch.randn(hours).cumsum(0).sub(0).fmod(25)
temperature = 283 + 6 * torch.sin(torch.arange(hours) * 6.28 / 24) + torch.randn(hours)
wind = (pressure[:-12] - pressure[12:]) / 5 + 0.2 * torch.randn(hours - 12)
series = torch.stack([pressure, temperature], dim=1).unfold(0, 24, 1).transpose(1, 2)
target = wind[11 : 11 + len(series)]
series = series[: len(target)]
target = (target - target.mean()) / target.std()
model = Forecast()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(4):
    for rows in torch.randperm(len(series)).split(64):
        loss = F.mse_loss(model(series[rows]), target[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
