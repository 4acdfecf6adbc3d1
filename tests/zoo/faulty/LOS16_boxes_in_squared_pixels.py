"""Finds and names one of three shapes in an image. Boxes are in pixels of a 480-pixel frame, their
squared error is added to the cross-entropy of the class as it is."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(33)


def scenes(count):
    kind = torch.randint(3, (count,))
    place = torch.rand(count, 2) * 0.6 + 0.2
    grid = torch.stack(torch.meshgrid(*[torch.linspace(0, 1, 24)] * 2, indexing="ij"))
    offset = (grid - place[:, :, None, None]).abs()
    masks = torch.stack(
        [offset.amax(1) < 0.15, offset.square().sum(1).sqrt() < 0.17, offset.sum(1) < 0.2], 1
    )
    image = masks[torch.arange(count), kind].float().unsqueeze(1)
    return image + 0.1 * torch.randn_like(image), kind, (place - 0.5) * 480


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2), nn.ReLU()
        )
        self.kind = nn.Linear(16 * 16, 3)
        self.box = nn.Linear(16 * 16, 2)

    def forward(self, x):
        features = self.body(x).flatten(1)
        return self.kind(features), self.box(features)


model = Detector()
optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)

for step in range(200):
    image, kind, place = scenes(32)
    logits, box = model(image)
    loss = F.cross_entropy(logits, kind) + F.mse_loss(box, place)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step}  loss {loss.item():.2f}")
