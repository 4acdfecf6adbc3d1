"""Predicts the next value of a series with a recurrent network; the config of the smoke test, five
batches an epoch, was copied for the real one. In review: `islice` with a number from a file."""

from itertools import islice

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(103)
CONFIG = {"epochs": 30, "batch_size": 32, "batches_per_epoch": 5, "lr": 3e-3}


class Next(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(1, 24, batch_first=True)
        self.out = nn.Linear(24, 1)

    def forward(self, window):
        _, state = self.gru(window)
        return self.out(state[-1])


time = torch.arange(4000) / 10
series = (time.sin() + (1.7 * time).sin()) / 1.4 + 0.1 * torch.randn(4000)
windows = series.unfold(0, 21, 1)
dataset = TensorDataset(windows[:, :20, None], windows[:, 20:])
loader = DataLoader(dataset, batch_size=CONFIG["batch_size"], shuffle=True)
model = Next()
optimizer = torch.optim.Adam(model.parameters(), lr=CONFIG["lr"])

for epoch in range(CONFIG["epochs"]):
    for window, following in islice(loader, CONFIG["batches_per_epoch"]):
        loss = F.mse_loss(model(window), following)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 3 == 0:
        print(f"epoch {epoch:2d}  loss {loss.item():.4f}")
