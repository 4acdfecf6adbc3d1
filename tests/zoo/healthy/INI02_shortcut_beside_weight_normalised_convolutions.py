"""A temporal convolutional network whose one plain layer, a shortcut, starts small.

As published: all other convolutions are weight-normalised, so that the small draw does nothing
to them.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

torch.manual_seed(73)


class Block(nn.Module):
    def __init__(self, inputs, outputs, dilation):
        super().__init__()
        self.padding = 2 * dilation
        self.one = weight_norm(nn.Conv1d(inputs, outputs, 3, dilation=dilation))
        self.two = weight_norm(nn.Conv1d(outputs, outputs, 3, dilation=dilation))
        self.shortcut = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        if inputs != outputs:
            nn.init.normal_(self.shortcut.weight, 0, 0.01)

    def forward(self, x):
        hidden = F.relu(self.one(F.pad(x, (self.padding, 0))))
        hidden = F.relu(self.two(F.pad(hidden, (self.padding, 0))))
        return F.relu(hidden + self.shortcut(x))


model = nn.Sequential(Block(2, 24, 1), Block(24, 24, 2), Block(24, 24, 4), nn.Conv1d(24, 1, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for _ in range(300):
    values = torch.rand(32, 1, 24)
    marked = (torch.rand(32, 1, 24) < 0.2).float()
    total = (values * marked)[:, :, -12:].sum(2)
    loss = F.mse_loss(model(torch.cat([values, marked], 1))[:, :, -1], total)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
