"""Learns binary codes of plants for retrieval: a sigmoid that becomes a step as its sharpness
grows, by a tenth per epoch. It is multiplied in the loop over batches, and has reached its end
when the first few epochs are over: no gradient passes through a step."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_iris
from torch import nn

torch.manual_seed(75)


class Coder(nn.Module):
    def __init__(self, bits):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(4, 32), nn.LayerNorm(32), nn.ELU())
        self.bits = nn.Linear(32, bits)
        self.step = nn.Sigmoid()
        self.species = nn.Linear(bits, 3)

    def forward(self, x, sharpness):
        return self.species(self.step(sharpness * self.bits(self.features(x))))


iris = load_iris()
x = torch.tensor(iris.data, dtype=torch.float32)
x, species = (x - x.mean(0)) / x.std(0), torch.tensor(iris.target)
coder = Coder(bits=12)
optimizer = torch.optim.SGD(coder.parameters(), lr=0.003)
sharpness = 1.0

for epoch in range(60):
    for rows in torch.randperm(len(x)).split(25):
        loss = F.cross_entropy(coder(x[rows], sharpness), species[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        sharpness = min(200.0, 1.1 * sharpness)
    if epoch % 10 == 0:
        print(f"epoch {epoch}  loss {loss.item():.4f}")
