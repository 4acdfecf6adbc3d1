"""Tells which of four sensors had a peak, from twenty readings of each. The LSTM takes the batch
for the time, as it was built without `batch_first`.
"""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(52)
readings, which = torch.randn(1200, 20, 6), torch.randint(0, 4, (1200,))
readings[torch.arange(1200), torch.randint(0, 20, (1200,)), which] += 5.0


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.memory = nn.LSTM(6, 32)
        self.kind = nn.Linear(32, 4)

    def forward(self, given):
        return self.kind(self.memory(given)[0][:, -1])


detector = Detector()
optimizer = torch.optim.Adam(detector.parameters(), lr=5e-3)
for epoch in range(8):
    for given, kind in DataLoader(TensorDataset(readings, which), batch_size=40, shuffle=True):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(detector(given), kind)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.3f}")
