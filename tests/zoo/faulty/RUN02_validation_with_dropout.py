"""Forecast of a load curve by an LSTM with dropout between its layers. The validation runs under
`no_grad`, which its author took for all that evaluation needs."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(156)


class LoadCurve(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(1, 24, num_layers=2, dropout=0.3, batch_first=True)
        self.dropout = nn.Dropout(0.3)
        self.out = nn.Linear(24, 1)

    def forward(self, window):
        states, _ = self.lstm(window)
        return self.out(self.dropout(states[:, -1]))


hours = torch.arange(3000)
load = (6.28 * hours / 24).sin() + 0.5 * (6.28 * hours / 168).sin() + 0.2 * torch.randn(3000)
windows = load.unfold(0, 25, 1)
training = TensorDataset(windows[:2000, :24, None], windows[:2000, 24:])
validation = TensorDataset(windows[2100:, :24, None], windows[2100:, 24:])
model = LoadCurve()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

for epoch in range(5):
    for window, following in DataLoader(training, batch_size=50, shuffle=True):
        loss = F.mse_loss(model(window), following)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        errors = [F.mse_loss(model(x), y) for x, y in DataLoader(validation, batch_size=100)]
    print(f"epoch {epoch}  validation {torch.stack(errors).mean().item():.4f}")
