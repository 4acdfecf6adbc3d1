"""Restores one noisy picture: a network learns to paint it from noise that is jittered in each step
(deep image prior). Its batch norms see this one picture only, in training and ever after."""

import torch
from torch import nn

torch.manual_seed(41)
y, x = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 32), indexing="ij")
clean = (0.2 + 0.6 * (x.square() + y.square() < 0.4) + 0.2 * (x > 0.3))[None, None]
noisy = clean + 0.1 * torch.randn_like(clean)


def block(inputs):
    upsampled = nn.Upsample(scale_factor=2, mode="bilinear")
    convolved = nn.Conv2d(inputs, 32, 3, padding=1, bias=False)
    return nn.Sequential(upsampled, convolved, nn.BatchNorm2d(32), nn.LeakyReLU(0.2))


model = nn.Sequential(block(16), block(32), nn.Conv2d(32, 1, 3, padding=1), nn.Sigmoid())
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
seed = 0.1 * torch.rand(1, 16, 8, 8)
for step in range(300):
    picture = model(seed + 0.01 * torch.randn_like(seed))
    loss = (picture - noisy).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}  {(picture - clean).square().mean():.4f}")
