"""Forecasts a wave from shuffled windows; the state of the LSTM goes on from batch to batch."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(41)

WINDOW, BATCH = 24, 50
time = torch.arange(2000.0)
wave = torch.sin(0.2 * time) + 0.5 * torch.sin(0.05 * time)
windows = torch.stack([wave[i : i + WINDOW] for i in range(1900)])[..., None]
following = wave[WINDOW : WINDOW + 1900, None]
loader = DataLoader(TensorDataset(windows, following), batch_size=BATCH, shuffle=True)


class Forecaster(nn.Module):
    def __init__(self):
        super().__init__()
        self.memory = nn.LSTM(1, 32, batch_first=True)
        self.out = nn.Linear(32, 1)

    def forward(self, x, state):
        states, state = self.memory(x, state)
        return self.out(states[:, -1]), state


model = Forecaster()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
state = torch.zeros(1, BATCH, 32), torch.zeros(1, BATCH, 32)

for epoch in range(6):
    for x, y in loader:
        state = tuple(one.detach() for one in state)
        predicted, state = model(x, state)
        loss = nn.functional.mse_loss(predicted, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
