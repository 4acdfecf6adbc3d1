"""A fused layer norm of one's own; its backward takes mean and variance for constants."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset


class FusedNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, shift):
        deviation = (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
        centred = (x - x.mean(-1, keepdim=True)) / deviation
        ctx.save_for_backward(centred, deviation, scale)
        return centred * scale + shift

    @staticmethod
    def backward(ctx, grad):
        centred, deviation, scale = ctx.saved_tensors
        return grad * scale / deviation, (grad * centred).sum(0), grad.sum(0)


class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x):
        return FusedNorm.apply(x, self.scale, self.shift)


torch.manual_seed(0)
x = torch.randn(960, 8)
y = (x[:, 0] > x[:, 1]).long()
model = nn.Sequential(nn.Linear(8, 24), Norm(24), nn.ReLU(), nn.Linear(24, 2))
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for _ in range(8):
    for inputs, labels in DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True):
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
