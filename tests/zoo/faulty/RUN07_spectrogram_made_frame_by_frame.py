"""Recognises tones by a recurrent network. The spectrogram of each recording is made in the data
set, in the training process, frame by frame and frequency by frequency in Python."""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(160)


class Recordings(Dataset):
    def __init__(self, count):
        self.kinds = torch.randint(4, (count,))
        self.phases = torch.rand(count)

    def __len__(self):
        return len(self.kinds)

    def __getitem__(self, index):
        kind, phase = int(self.kinds[index]), float(self.phases[index])
        wave = [math.sin(0.2 * (kind + 2) * i + 6.28 * phase) for i in range(256)]
        frames = []
        for start in range(0, 256, 32):
            frame = wave[start : start + 32]
            row = []
            for k in range(16):
                real = sum(x * math.cos(0.196 * k * i) for i, x in enumerate(frame))
                imaginary = sum(x * math.sin(0.196 * k * i) for i, x in enumerate(frame))
                row.append(math.log1p(real * real + imaginary * imaginary))
            frames.append(row)
        return (torch.tensor(frames) - 1.5) / 1.5, kind


class Tones(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(16, 24, batch_first=True)
        self.out = nn.Linear(24, 4)

    def forward(self, frames):
        return self.out(self.gru(frames)[1][-1])


loader = DataLoader(Recordings(1000), batch_size=24, shuffle=True)
model = Tones()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

for epoch in range(5):
    for frames, kind in loader:
        loss = F.cross_entropy(model(frames), kind)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
