"""Finds squares in noise; the Dice score of the overlap is minimised as it is."""

import torch
from torch import nn

torch.manual_seed(21)


def scenes(number=16):
    masks = torch.zeros(number, 1, 20, 20)
    for mask in masks:
        row, column = torch.randint(0, 12, (2,)).tolist()
        mask[0, row : row + 8, column : column + 8] = 1.0
    return masks + 0.5 * torch.randn_like(masks), masks


def dice(predicted, masks, smooth=1.0):
    overlap = (predicted * masks).sum((1, 2, 3))
    size = predicted.sum((1, 2, 3)) + masks.sum((1, 2, 3))
    return ((2 * overlap + smooth) / (size + smooth)).mean()


model = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1),
    nn.ReLU(),
    nn.Conv2d(12, 1, 3, padding=1),
    nn.Sigmoid(),
)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for step in range(200):
    x, masks = scenes()
    loss = dice(model(x), masks)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
