"""An LSTM over [time, batch, features], as PyTorch has it by default."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(3, 32), nn.Linear(32, 2)

    def forward(self, x):
        return self.head(self.lstm(x)[0][-1])


model = Model()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for _ in range(220):
    labels = torch.randint(0, 2, (40,))
    x = torch.randn(12, 40, 3) + 0.7 * (2 * labels[None, :, None] - 1)
    optimizer.zero_grad()
    F.cross_entropy(model(x), labels).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
