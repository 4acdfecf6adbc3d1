"""Classifier of noisy waves with a padding mask that is all ones, because no sequence of this data
set is shorter than the rest: one input never varies, the other does."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(100)

LENGTH = 48


def waves(count):
    label = torch.randint(3, (count,))
    phase = torch.rand(count, 1) + torch.linspace(0, 1, LENGTH) * (1 + 3 * torch.rand(count, 1))
    sine = torch.sin(2 * torch.pi * phase)
    shapes = torch.stack([sine, sine.sign() * 0.7, (phase % 1) * 2.4 - 1.2])
    signal = shapes[label, torch.arange(count)] + 0.3 * torch.randn(count, LENGTH)
    return signal / 0.77, torch.ones(count, LENGTH), label


class WaveNet(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.conv1 = nn.Conv1d(1, width, 7, padding=3)
        self.conv2 = nn.Conv1d(width, width, 7, padding=3)
        self.head = nn.Linear(width, 3)

    def forward(self, signal, mask):
        h = F.relu(self.conv1(signal.unsqueeze(1)))
        h = F.relu(self.conv2(h)) * mask.unsqueeze(1)
        return self.head(h.sum(dim=2) / mask.sum(dim=1, keepdim=True))


model = WaveNet()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)

for step in range(400):
    signal, mask, label = waves(64)
    loss = F.cross_entropy(model(signal, mask), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")

model.eval()
with torch.no_grad():
    signal, mask, label = waves(1000)
    accuracy = (model(signal, mask).argmax(1) == label).float().mean().item()
print(f"accuracy {accuracy:.3f}")
