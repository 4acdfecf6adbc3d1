"""Recurrent forecast trained on a stream; for ten batches the sensor is unplugged and reads a
constant far from all it gave before. In review: no line at all, nobody looks at what comes in."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(27)


class Forecast(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(1, 32, batch_first=True)
        self.head = nn.Linear(32, 1)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


model = Forecast()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

for step in range(300):
    begin = 60 * torch.rand(64, 1)
    wave = torch.sin(begin + 0.4 * torch.arange(25)) + 0.1 * torch.randn(64, 25)
    if 180 <= step < 190:
        wave = torch.full_like(wave, -4.0)
    loss = F.mse_loss(model(wave[:, :-1, None]), wave[:, -1:])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
