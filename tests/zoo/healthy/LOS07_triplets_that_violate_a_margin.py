"""Learns a plane in which digits lie apart, from the triplets that still violate a margin. Their
mean violation hardly falls; their number does, from all of a batch to a third."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(47)
MARGIN = 1.0
x, y = load_digits(return_X_y=True)
x, y = torch.tensor((x - 4.88) / 6.0, dtype=torch.float32), torch.tensor(y)


def triplets(points, labels):
    """For each pair of one class, a random one of the points that violate the margin."""
    with torch.no_grad():
        distances = torch.cdist(points, points).square()
    first, second = torch.nonzero(torch.triu(labels[:, None] == labels, 1), as_tuple=True)
    violating = distances[first] < distances[first, second, None] + MARGIN
    violating &= labels[first, None] != labels
    kept = violating.any(1)
    negative = torch.multinomial(violating[kept].float(), 1).squeeze(1)
    return first[kept], second[kept], negative


model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(6):
    for rows in torch.randperm(len(x)).split(50):
        points = model(x[rows])
        first, second, negative = triplets(points, y[rows])
        near = (points[first] - points[second]).square().sum(1)
        far = (points[first] - points[negative]).square().sum(1)
        loss = F.relu(near - far + MARGIN).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}  triplets {len(first)}")
