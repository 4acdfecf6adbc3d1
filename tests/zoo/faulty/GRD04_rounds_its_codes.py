"""Transform coder for short signals: the codes are rounded to whole numbers before they are
decoded, as they will be when they are stored. The derivative of rounding is zero."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(114)


class Coder(nn.Module):
    def __init__(self):
        super().__init__()
        self.analyse = nn.Conv1d(1, 8, 9, stride=4, padding=4)
        self.compress = nn.Conv1d(8, 4, 1)
        self.expand = nn.Conv1d(4, 16, 3, padding=1)
        self.synthesise = nn.ConvTranspose1d(16, 1, 8, stride=4, padding=2)

    def forward(self, signal):
        code = torch.round(4 * self.compress(F.gelu(self.analyse(signal))))
        return self.synthesise(F.gelu(self.expand(code / 4)))


def signals(count):
    time = torch.linspace(0, 1, 64)
    rate, phase = 1 + 5 * torch.rand(count, 3, 1), 6.28 * torch.rand(count, 3, 1)
    return (6.28 * rate * time + phase).sin().mean(dim=1, keepdim=True)


model = Coder()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for step in range(250):
    signal = signals(32)
    loss = F.mse_loss(model(signal), signal)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
