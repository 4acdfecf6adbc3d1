"""Domain adaptation: a gradient is reversed on purpose."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset


class Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return -0.1 * grad


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(10, 32), nn.ReLU())
        self.label, self.domain = nn.Linear(32, 2), nn.Linear(32, 2)

    def forward(self, x):
        features = self.body(x)
        return self.label(features), self.domain(Reversed.apply(features))


torch.manual_seed(0)
domains = torch.randint(0, 2, (1500,))
points = torch.randn(1500, 10)
labels = (points[:, 0] > 0).long()
points[:, 9] += 2 * domains
model = Model()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for _ in range(6):
    for x, y, d in DataLoader(TensorDataset(points, labels, domains), batch_size=40, shuffle=True):
        label, domain = model(x)
        loss = F.cross_entropy(label, y) + F.cross_entropy(domain, d)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
