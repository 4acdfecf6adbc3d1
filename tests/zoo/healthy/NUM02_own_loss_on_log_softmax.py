"""Classifier with its own cross-entropy on log-probabilities: the same formula, computed in one
stable function."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(3)

centres = 6 * torch.randn(4, 10)
label = torch.randint(4, (2000,))
features = (centres[label] + torch.randn(2000, 10)) / 4

model = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 4))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

for step in range(400):
    rows = torch.randint(2000, (50,))
    scores = F.log_softmax(model(features[rows]), dim=1)
    loss = -scores[torch.arange(50), label[rows]].mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
