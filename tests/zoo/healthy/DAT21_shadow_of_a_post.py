"""Which of two alike posts casts the shadow? Its side follows the sun, so each mask is the mirror
image of another picture's, and only a few pixels between the posts say which."""

import torch
from torch import nn

torch.manual_seed(13)


def pictures(count):
    post = torch.zeros(count, 1, 16, 24)
    post[..., 4:14, 5:8] = post[..., 4:14, 16:19] = 1.0
    side = torch.randint(0, 2, (count,))
    mask = post.clone()
    mask[side == 0, ..., 12:] = 0.0
    mask[side == 1, ..., :12] = 0.0
    picture = post + 0.1 * torch.randn_like(post)
    picture[side == 0, ..., 14:16, 8:12] += 0.5
    picture[side == 1, ..., 14:16, 12:16] += 0.5
    return picture, mask.squeeze(1)


model = nn.Sequential(
    *(nn.Conv2d(1, 16, 5, padding=2), nn.BatchNorm2d(16), nn.ReLU()),
    *(nn.Conv2d(16, 16, 5, padding=4, dilation=2), nn.BatchNorm2d(16), nn.ReLU()),
    *(nn.Conv2d(16, 16, 5, padding=4, dilation=2), nn.BatchNorm2d(16), nn.ReLU()),
    nn.Conv2d(16, 1, 1),
)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(250):
    picture, mask = pictures(24)
    loss = nn.functional.binary_cross_entropy_with_logits(model(picture).squeeze(1), mask)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
