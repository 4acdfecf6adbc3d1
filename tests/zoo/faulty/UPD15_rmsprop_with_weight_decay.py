"""Recurrent forecast trained by RMSprop with a weight decay, which goes through the gradient
there."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(83)


def windows(count, length=24):
    begin = 60 * torch.rand(count, 1)
    time = begin + 0.4 * torch.arange(length + 1)
    wave = torch.sin(time) + 0.5 * torch.sin(2.3 * time) + 0.05 * torch.randn(count, length + 1)
    return wave[:, :-1, None], wave[:, -1:]


class Forecast(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(1, 32, batch_first=True)
        self.head = nn.Linear(32, 1)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


model = Forecast()
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3, weight_decay=1e-4)

for step in range(250):
    x, y = windows(64)
    loss = F.mse_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
