"""Which of four waveforms a signal is: a 1-d convolutional network ends in softmax where
log_softmax was meant, and the loss is nll_loss."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(13)


def signals(count):
    label = torch.randint(4, (count,))
    phase = torch.rand(count, 1) * 6.283 + torch.linspace(0, 18.85, 64)
    wave = torch.stack(
        [phase.sin(), phase.sin().sign(), phase.sin().asin(), (phase / 6.283).frac() * 2 - 1]
    )
    return (wave[label, torch.arange(count)] + 0.2 * torch.randn(count, 64)).unsqueeze(1), label


class Waves(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 24, 9, stride=2)
        self.head = nn.Linear(24, 4)

    def forward(self, x):
        return F.softmax(self.head(F.relu(self.conv(x)).mean(2)), dim=1)


model = Waves()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for step in range(250):
    x, y = signals(48)
    loss = F.nll_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
