"""Graph network for the communities of a social network. Each layer multiplies with the adjacency
matrix as it is, so that the states of forty friends are added up, five times over. In review: the
division by the degree is missing."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(73)
PEOPLE, COMMUNITIES = 400, 4

community = torch.randint(COMMUNITIES, (PEOPLE,))
same = community[:, None] == community[None, :]
friends = (torch.rand(PEOPLE, PEOPLE) < torch.where(same, 0.3, 0.03)).float().triu(1)
adjacency = friends + friends.T + torch.eye(PEOPLE)
profile = torch.randn(PEOPLE, 16) + 0.3 * torch.randn(COMMUNITIES, 16)[community]


class GraphConvolution(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Linear(inputs, outputs)

    def forward(self, state):
        return adjacency @ self.weight(state)


class Network(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        sizes = [16, width, width, width, width]
        self.layers = nn.ModuleList(GraphConvolution(*pair) for pair in pairwise(sizes))
        self.out = GraphConvolution(width, COMMUNITIES)

    def forward(self, state):
        for layer in self.layers:
            state = F.relu(layer(state))
        return self.out(state)


network = Network()
optimizer = torch.optim.Adam(network.parameters(), lr=0.003, weight_decay=5e-4)
known = torch.randperm(PEOPLE)[:80]

for epoch in range(150):
    optimizer.zero_grad()
    loss = F.cross_entropy(network(profile)[known], community[known])
    loss.backward()
    optimizer.step()
    if epoch % 15 == 0:
        print(f"epoch {epoch:3d}  loss {loss.item():.4f}")
