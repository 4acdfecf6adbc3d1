"""Recommender whose two tables start at zero, "so that nothing is assumed of anybody": each one's
gradient is the other, and both stay where they are."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(120)
LISTENERS, SONGS = 250, 120


class Taste(nn.Module):
    def __init__(self, rank=8):
        super().__init__()
        self.listener = nn.Embedding(LISTENERS, rank)
        self.song = nn.Embedding(SONGS, rank)
        nn.init.zeros_(self.listener.weight)
        nn.init.zeros_(self.song.weight)

    def forward(self, listener, song):
        return (self.listener(listener) * self.song(song)).sum(dim=1)


taste, style = torch.randn(LISTENERS, 3), torch.randn(SONGS, 3)
listener, song = torch.randint(LISTENERS, (6000,)), torch.randint(SONGS, (6000,))
plays = (taste[listener] * style[song]).sum(dim=1) / 1.7
loader = DataLoader(TensorDataset(listener, song, plays), batch_size=100, shuffle=True)
model = Taste()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

for epoch in range(4):
    for listeners, songs, target in loader:
        loss = F.mse_loss(model(listeners, songs), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
