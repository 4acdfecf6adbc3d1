"""Learns from two crops of a signal, one of which predicts the other, with a convolutional encoder
(SimSiam). Without the `detach` on the predicted side both come to say the same of every signal."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(81)


class Encoder(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.one = nn.Conv1d(2, 16, 7, stride=2)
        self.two = nn.Conv1d(16, width, 7, stride=2)
        self.project = nn.Linear(width, 16)
        self.predict = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16))

    def forward(self, crop):
        features = F.relu(self.two(F.relu(self.one(crop)))).mean(dim=2)
        code = self.project(features)
        return code, self.predict(code)


def crops(count):
    time = torch.linspace(0, 1, 64)
    rate = 2 + 10 * torch.rand(count, 2, 1)
    return [
        (6.28 * (rate * time + torch.rand(count, 1, 1))).sin() + 0.2 * torch.randn(count, 2, 64)
        for _ in range(2)
    ]


encoder = Encoder()
optimizer = torch.optim.SGD(encoder.parameters(), lr=0.1, momentum=0.9)

for step in range(250):
    (code_a, guess_a), (code_b, guess_b) = (encoder(crop) for crop in crops(64))
    likeness = F.cosine_similarity(guess_a, code_b) + F.cosine_similarity(guess_b, code_a)
    loss = -likeness.mean() / 2
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
