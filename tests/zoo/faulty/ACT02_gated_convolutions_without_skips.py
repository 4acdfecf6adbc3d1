"""Tells apart waveforms with a WaveNet-like stack of gated convolutions, of which the residual and
skip connections were left out: every gate passes on half of what comes in, or less."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(72)


class GatedStack(nn.Module):
    def __init__(self, channels=24, depth=9):
        super().__init__()
        self.start = nn.Conv1d(1, channels, 3, padding=1)
        self.layers = nn.ModuleList(
            nn.Conv1d(channels, 2 * channels, 3, padding=2**i, dilation=2**i)
            for i in (k % 4 for k in range(depth))
        )
        self.end = nn.Linear(channels, 3)

    def forward(self, wave):
        x = self.start(wave)
        for layer in self.layers:
            signal, gate = layer(x).chunk(2, dim=1)
            x = torch.tanh(signal) * torch.sigmoid(gate)
        return self.end(x.mean(dim=2))


def waves(count):
    kind = torch.randint(3, (count,))
    time = torch.arange(64) / 64
    phase = 6.28 * (time * (3 + 4 * torch.rand(count, 1)) + torch.rand(count, 1))
    shapes = torch.stack([phase.sin(), phase.sin().sign(), (phase / 6.28 % 1) * 2 - 1], dim=1)
    return shapes[torch.arange(count), kind].unsqueeze(1) + 0.1 * torch.randn(count, 1, 64), kind


model = GatedStack()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

for step in range(250):
    wave, kind = waves(32)
    loss = F.cross_entropy(model(wave), kind)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
