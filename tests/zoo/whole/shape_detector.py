"""Finds and names a shape: a class head with cross-entropy and a box head with a smooth L1 loss on
coordinates between 0 and 1."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(73)
GRID = torch.stack(torch.meshgrid(*[torch.linspace(0, 1, 24)] * 2, indexing="ij"))


def scenes(count):
    kind = torch.randint(3, (count,))
    place = torch.rand(count, 2) * 0.6 + 0.2
    offset = (GRID - place[:, :, None, None]).abs()
    masks = torch.stack(
        [offset.amax(1) < 0.15, offset.square().sum(1).sqrt() < 0.17, offset.sum(1) < 0.2], 1
    )
    image = masks[torch.arange(count), kind].float().unsqueeze(1)
    return (image + 0.1 * torch.randn_like(image) - 0.1) / 0.3, kind, place


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(1, 16, 5, stride=2), nn.BatchNorm2d(16), nn.ReLU()),
            *(nn.Conv2d(16, 32, 3, stride=2), nn.BatchNorm2d(32), nn.ReLU(), nn.Flatten()),
        )
        self.kind = nn.Linear(32 * 16, 3)
        self.box = nn.Linear(32 * 16, 2)

    def forward(self, x):
        features = self.body(x)
        return self.kind(features), self.box(features).sigmoid()


model = Detector()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

for step in range(200):
    image, kind, place = scenes(32)
    logits, box = model(image)
    loss = F.cross_entropy(logits, kind) + 5 * F.smooth_l1_loss(box, place, beta=0.1)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
