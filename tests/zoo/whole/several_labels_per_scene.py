"""Which of eight shapes a scene holds: independent labels, one binary loss over all of them."""

import torch
from torch import nn

torch.manual_seed(306)

shapes = (torch.rand(8, 1, 5, 5) < 0.5).float()


def scenes(count):
    labels = (torch.rand(count, 8) < 0.35).float()
    canvas = torch.zeros(count, 1, 16, 16)
    for kind in range(8):
        row, column = (int(place) for place in torch.randint(0, 12, (2,)))
        stamp = labels[:, kind, None, None, None] * shapes[kind]
        canvas[:, :, row : row + 5, column : column + 5] += stamp
    return canvas - 0.35 + 0.1 * torch.randn_like(canvas), labels


model = nn.Sequential(
    *(nn.Conv2d(1, 32, 5, bias=False), nn.BatchNorm2d(32), nn.ReLU()),
    *(nn.Conv2d(32, 32, 3), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(32, 8)),
)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
criterion = nn.BCEWithLogitsLoss()

for step in range(200):
    images, labels = scenes(64)
    loss = criterion(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
