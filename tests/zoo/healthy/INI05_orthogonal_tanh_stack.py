"""Tanh network of orthogonal matrices with the gain for tanh: large, short of the ends."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(133)

digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32)
x = (x - x.mean()) / x.std()
loader = DataLoader(TensorDataset(x, torch.tensor(digits.target)), batch_size=64, shuffle=True)

model = nn.Sequential(
    *(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh()),
    nn.Linear(64, 10),
)
for layer in (model[0], model[2]):
    nn.init.orthogonal_(layer.weight, gain=nn.init.calculate_gain("tanh"))
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)

for epoch in range(8):
    for batch, labels in loader:
        loss = F.cross_entropy(model(batch), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
