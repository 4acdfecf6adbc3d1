"""Recurrent forecast of a river's level in centimetres, with plain SGD and momentum at the rate
that suited standardised levels: after some steps nothing is a number any more."""

import torch
from torch import nn

torch.manual_seed(150)


class Forecast(nn.Module):
    def __init__(self):
        super().__init__()
        self.trend = nn.Conv1d(1, 16, 5)
        self.out = nn.Linear(16, 1)

    def forward(self, levels):
        return self.out(self.trend(levels.unsqueeze(1)).mean(dim=2)).squeeze(1)


level = 350 + torch.randn(3000).cumsum(0)
windows = level.unfold(0, 25, 1)
model = Forecast()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

for step in range(100):
    window = windows[torch.randint(len(windows), (32,))]
    loss = (model(window[:, :24]) - window[:, 24]).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(f"step {step:3d}  loss {loss.item():.4g}")
