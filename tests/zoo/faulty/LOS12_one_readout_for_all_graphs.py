"""Classifies small molecules by a graph network. The nodes of a batch lie in one long tensor, and
the readout takes the mean of them all, not of each graph's own: every molecule gets one answer."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(127)
ATOMS = 9


class GraphNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.own = nn.Linear(4, 32)
        self.others = nn.Linear(4, 32)
        self.mix = nn.Linear(32, 32)
        self.out = nn.Linear(32, 2)

    def forward(self, atoms, bonds, graph):
        near = torch.zeros_like(atoms).index_add(0, bonds[0], atoms[bonds[1]])
        states = F.relu(self.mix(F.relu(self.own(atoms) + self.others(near))))
        readout = states.mean(dim=0, keepdim=True)
        return self.out(readout).expand(int(graph.max()) + 1, 2)


def molecules(count):
    kinds = torch.randint(4, (count, ATOMS))
    atoms = F.one_hot(kinds, 4).float().flatten(0, 1)
    start = torch.arange(count * ATOMS).view(count, ATOMS)
    bonds = torch.stack([start[:, :-1].flatten(), start[:, 1:].flatten()])
    label = ((kinds[:, :-1] == 0) & (kinds[:, 1:] == 1)).any(dim=1).long()
    return atoms, torch.cat([bonds, bonds.flip(0)], dim=1), start.flatten() // ATOMS, label


model = GraphNet()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for step in range(200):
    atoms, bonds, graph, label = molecules(64)
    loss = F.cross_entropy(model(atoms, bonds, graph), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
