"""Trains a head on a frozen recurrent encoder. The checkpoint was saved from a wrapper, its names
begin with `module.`, and `strict=False` says nothing of it: the encoder stays as it was drawn."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(163)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.GRU(4, 48, batch_first=True)
        self.head = nn.Linear(48, 3)

    def forward(self, series):
        return self.head(self.encoder(series)[1][-1])


def series(count):
    kind = torch.randint(3, (count,))
    time = torch.arange(24).view(1, 24, 1) / 24
    rate = (1.0 + kind).view(-1, 1, 1)
    phase = 6.28 * torch.rand(count, 1, 4)
    return (6.28 * rate * time + phase).sin() + 0.3 * torch.randn(count, 24, 4), kind


trained = nn.GRU(4, 48, batch_first=True)
checkpoint = {f"module.encoder.{name}": value for name, value in trained.state_dict().items()}
model = Classifier()
model.load_state_dict(checkpoint, strict=False)
for parameter in model.encoder.parameters():
    parameter.requires_grad_(False)
optimizer = torch.optim.Adam(model.head.parameters(), lr=5e-3)

for step in range(200):
    batch, kind = series(48)
    loss = F.cross_entropy(model(batch), kind)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
