"""Low-rank adapters are put into a frozen trunk after the optimizer was given the new head alone.

The adapters are trainable, get gradients, and stay at zero: only the head is fine-tuned.
"""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(71)


class LowRank(nn.Module):
    def __init__(self, linear, rank=4):
        super().__init__()
        self.linear = linear
        self.down = nn.Parameter(torch.randn(rank, linear.in_features) / rank)
        self.up = nn.Parameter(torch.zeros(linear.out_features, rank))

    def forward(self, x):
        return self.linear(x) + x @ self.down.T @ self.up.T


inputs = torch.randn(2000, 16)
direction = torch.randn(16, 4)
trunk = nn.Sequential(
    *(nn.Linear(16, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU()),
    *(nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU()),
)
model = nn.Sequential(trunk, nn.Linear(48, 4))


def train(parameters, labels, steps, rate):
    optimizer = torch.optim.AdamW(parameters, lr=rate)
    for _ in range(steps):
        chosen = torch.randint(0, len(inputs), (64,))
        loss = F.cross_entropy(model(inputs[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


first, second = (inputs @ direction).argmax(1), (inputs.abs() @ direction.flip(0)).argmax(1)
train(model.parameters(), first, 150, 3e-3)
for index in (0, 2, 4, 6):
    trunk[index].requires_grad_(False)
    trunk[index] = LowRank(trunk[index])
model[1] = nn.Linear(48, 4)
train(model[1].parameters(), second, 250, 3e-3)
