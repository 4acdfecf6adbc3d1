"""Regression on the diabetes data without `zero_grad`: every step applies the sum of all gradients
so far. In review: the line is simply not there."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_diabetes
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(20)

diabetes = load_diabetes()
x = torch.tensor(diabetes.data, dtype=torch.float32)
y = torch.tensor(diabetes.target, dtype=torch.float32)
x, y = (x - x.mean(0)) / x.std(0), (y - y.mean()) / y.std()
loader = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True)

model = nn.Sequential(nn.Linear(10, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh(), nn.Linear(48, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=5e-3)

for epoch in range(30):
    for inputs, target in loader:
        loss = F.mse_loss(model(inputs).squeeze(1), target)
        loss.backward()
        optimizer.step()
    if epoch % 3 == 0:
        print(f"epoch {epoch:2d}  loss {loss.item():.4f}")
