"""Two-layer graph convolution: finds the communities of a random graph from a few labels."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(206)

NODES, GROUPS = 240, 4
group = torch.arange(NODES) % GROUPS
close = torch.where(group[:, None] == group[None], 0.15, 0.01)
edges = (torch.rand(NODES, NODES) < close).float().triu(1)
edges = edges + edges.T + torch.eye(NODES)
degree = edges.sum(1).rsqrt()
spread = degree[:, None] * edges * degree[None]


class GraphNet(nn.Module):
    def __init__(self, features=16, width=32):
        super().__init__()
        self.one, self.two = nn.Linear(features, width), nn.Linear(width, GROUPS)

    def forward(self, x):
        hidden = F.relu(spread @ self.one(x))
        return spread @ self.two(F.dropout(hidden, 0.3, self.training))


x = torch.randn(NODES, 16) + 0.5 * torch.randn(GROUPS, 16)[group]
known = torch.randperm(NODES)[:120]
model = GraphNet()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, weight_decay=5e-4)

for step in range(150):
    loss = F.cross_entropy(model(x)[known], group[known])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
