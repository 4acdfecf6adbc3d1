"""Forecasts the next hour of a demand from a day of hours by a temporal convolution. The window is
one step too long: the hour to be forecast is its last."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(131)
HOURS = 4000

time = torch.arange(HOURS)
demand = (time * 6.28 / 24).sin() + 0.6 * torch.randn(HOURS)
demand = (demand - demand.mean()) / demand.std()
windows = demand.unfold(0, 24, 1).unsqueeze(1)
target = demand[23 : 23 + len(windows)]


class Temporal(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Conv1d(1, 16, 3)
        self.two = nn.Conv1d(16, 16, 3, dilation=2)
        self.last = nn.Linear(16, 1)

    def forward(self, window):
        x = F.relu(self.two(F.relu(self.one(window))))
        return self.last(x[:, :, -1]).squeeze(1)


model = Temporal()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

for epoch in range(4):
    for rows in torch.randperm(len(windows)).split(64):
        loss = F.mse_loss(model(windows[rows]), target[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
