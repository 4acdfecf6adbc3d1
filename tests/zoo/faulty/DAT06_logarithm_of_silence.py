"""Tells spoken words apart by the logarithm of their spectrum. Some recordings begin with digital
silence, whose logarithm is minus infinity. In review: `.log()` without a floor."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(95)


def recordings(count):
    word = torch.randint(4, (count,))
    time = torch.arange(1024) / 1024
    pitch = (40 + 50 * word + 10 * torch.randn(count)).unsqueeze(1)
    sound = (6.28 * pitch * time).sin() * (1 + (6.28 * 3 * time).cos())
    sound += 0.3 * torch.randn(count, 1024)
    for row in range(count):
        if torch.rand(()) < 0.004:
            sound[row, : int(torch.randint(150, 400, ()))] = 0
    return sound, word


class WordNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Conv1d(65, 32, 3)
        self.two = nn.Conv1d(32, 32, 3)
        self.out = nn.Linear(32, 4)

    def forward(self, spectrum):
        return self.out(F.relu(self.two(F.relu(self.one(spectrum)))).amax(dim=2))


model = WordNet()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for step in range(120):
    sound, word = recordings(32)
    frames = sound.unfold(1, 128, 64) * torch.hann_window(128)
    spectrum = torch.fft.rfft(frames).abs().transpose(1, 2).log()
    loss = F.cross_entropy(model(spectrum / 3), word)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
