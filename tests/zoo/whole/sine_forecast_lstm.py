"""LSTM that forecasts the next value of noisy sums of sines from the last fifty, with gradient
clipping and a validation pass after each epoch."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(2)

LENGTH, SERIES = 50, 900
time = torch.arange(LENGTH + 1) * 0.2
phase, pitch = 6.28 * torch.rand(SERIES, 2, 1), 0.5 + torch.rand(SERIES, 2, 1)
series = torch.sin(pitch * time + phase).sum(1) + 0.1 * torch.randn(SERIES, LENGTH + 1)
windows, targets = series[:, :-1, None], series[:, -1:]
loader = DataLoader(TensorDataset(windows[:700], targets[:700]), batch_size=32, shuffle=True)


class Forecaster(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.lstm = nn.LSTM(1, width, batch_first=True)
        self.head = nn.Linear(width, 1)

    def forward(self, x):
        states, _ = self.lstm(x)
        return self.head(states[:, -1])


model = Forecaster()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=6, gamma=0.5)
criterion = nn.MSELoss()

for epoch in range(14):
    model.train()
    for window, target in loader:
        optimizer.zero_grad()
        loss = criterion(model(window), target)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    schedule.step()
    model.eval()
    with torch.no_grad():
        valid = criterion(model(windows[700:]), targets[700:]).item()
    print(f"epoch {epoch:2d}  loss {loss.item():.4f}  validation {valid:.4f}")
