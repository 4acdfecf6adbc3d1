"""Counts whether an image holds an even number of dots. Biases start positive "so that no ReLU is
dead", as one reads, but at 10 and not at 0.1: no ReLU ever closes, and the network is linear."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(76)


def dots(count):
    places = torch.rand(count, 12, 12).flatten(1).argsort(dim=1)
    number = torch.randint(1, 5, (count, 1))
    images = (places < number).float().view(count, 1, 12, 12)
    return (images - 0.017) / 0.13, (number.squeeze(1) % 2).float()


model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.ReLU(),
    nn.Conv2d(16, 16, 3, stride=2, padding=1),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(576, 32),
    nn.ReLU(),
    nn.Linear(32, 1),
)
for module in model[:-1]:
    if hasattr(module, "bias"):
        nn.init.constant_(module.bias, 10.0)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-4)

for step in range(250):
    images, is_odd = dots(64)
    loss = F.binary_cross_entropy_with_logits(model(images).squeeze(1), is_odd)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
