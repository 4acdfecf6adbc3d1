"""Learns the energy of a molecule, in joules per mole, together with its charge class, from the
distances of its atoms. The absolute error of the one is thousands of times the cross-entropy of the
other, and they are simply added."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(130)


class TwoAnswers(nn.Module):
    def __init__(self):
        super().__init__()
        self.atoms = nn.Sequential(nn.Linear(10, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU())
        self.energy = nn.Linear(64, 1)
        self.charge = nn.Linear(64, 3)
        self.register_buffer("scale", torch.tensor(4000.0))

    def forward(self, distances):
        features = self.atoms(distances)
        return self.scale * self.energy(features).squeeze(1), self.charge(features)


def molecules(count):
    distances = torch.randn(count, 10)
    energy = 4000 * (distances[:, :3].sin().sum(dim=1) + distances[:, 3] * distances[:, 4])
    return distances, energy, torch.bucketize(distances[:, 5:].sum(1), torch.tensor([-1.0, 1.0]))


model = TwoAnswers()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for step in range(200):
    distances, energy, charge = molecules(64)
    guessed_energy, guessed_charge = model(distances)
    loss = F.l1_loss(guessed_energy, energy) + F.cross_entropy(guessed_charge, charge)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
