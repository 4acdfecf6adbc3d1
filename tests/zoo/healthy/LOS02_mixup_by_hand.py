"""Mixup with a cross-entropy written out, on the logits of the model."""

import torch
from torch import nn

torch.manual_seed(412)

centres = torch.randn(6, 16)
model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 6))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)


def soft_cross_entropy(logits, target):
    return -(target * logits.log_softmax(1)).sum(1).mean()


for _ in range(200):
    y = torch.randint(6, (64,))
    x = centres[y] + 0.7 * torch.randn(64, 16)
    mixed = torch.randperm(64)
    share = torch.rand(()) * 0.3
    one_hot = nn.functional.one_hot(y, 6).float()
    target = (1 - share) * one_hot + share * one_hot[mixed]
    loss = soft_cross_entropy(model((1 - share) * x + share * x[mixed]), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
