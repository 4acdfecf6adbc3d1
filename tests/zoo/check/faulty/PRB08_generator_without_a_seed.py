"""Everything is seeded but NumPy's new generator, which draws the batches."""

import random

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

random.seed(0)
np.random.seed(0)
torch.manual_seed(0)
draw = np.random.default_rng()
x = torch.randn(1000, 10)
y = (x[:, 0] > 0).long()
model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for _ in range(220):
    chosen = torch.from_numpy(draw.integers(0, 1000, 64))
    optimizer.zero_grad()
    F.cross_entropy(model(x[chosen]), y[chosen]).backward()
    optimizer.step()
