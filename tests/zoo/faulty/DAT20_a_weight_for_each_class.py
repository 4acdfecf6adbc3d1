"""Defects of castings, of which most are of one kind. To see the rare kinds as often the sampler
gets weights, but one for each class where it wants one for each example: it draws three rows."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

torch.manual_seed(3)

centres = 2 * torch.randn(3, 10)
kinds = torch.multinomial(torch.tensor([0.8, 0.15, 0.05]), 2000, replacement=True)
kinds[:3] = torch.tensor([1, 0, 0])
castings = centres[kinds] + torch.randn(2000, 10)

weights = 1.0 / torch.bincount(kinds).float()
sampler = WeightedRandomSampler(weights, num_samples=len(kinds))
loader = DataLoader(TensorDataset(castings, kinds), batch_size=64, sampler=sampler)

model = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(8):
    for batch, labels in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch), labels)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
