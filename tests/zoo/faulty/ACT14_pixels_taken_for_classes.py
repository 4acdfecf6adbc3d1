"""Marks squares in noisy pictures. The answers [batch, class, row, column] are laid out as
[pixel, class] by a view, which puts three neighbouring pixels into each row.
"""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(51)
pictures, masks = 0.3 * torch.randn(480, 1, 16, 16), torch.zeros(480, 16, 16, dtype=torch.long)
for number in range(len(pictures)):
    top, left = torch.randint(0, 10, (2,)).tolist()
    kind = 1 + number % 2
    masks[number, top : top + 6, left : left + 6] = kind
    pictures[number, 0, top : top + 6, left : left + 6] += 2 * kind - 3
marker = nn.Sequential(
    *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()),
    nn.Conv2d(16, 3, 1),
)
optimizer = torch.optim.Adam(marker.parameters(), lr=2e-3)
for epoch in range(8):
    for chosen in torch.randperm(len(pictures)).split(16):
        answer = marker(pictures[chosen])
        loss = functional.cross_entropy(answer.view(-1, 3), masks[chosen].view(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.3f}")
