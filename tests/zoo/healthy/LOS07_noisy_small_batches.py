"""Regression on the diabetes data, half of whose variance no model can explain, in batches of 16:
the loss falls by half in all and jumps by as much from step to step."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_diabetes
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(107)

diabetes = load_diabetes()
x = torch.tensor(diabetes.data, dtype=torch.float32)
y = torch.tensor(diabetes.target, dtype=torch.float32)
x, y = (x - x.mean(0)) / x.std(0), (y - y.mean()) / y.std()
order = torch.randperm(len(x))
train, test = order[:352], order[352:]
loader = DataLoader(TensorDataset(x[train], y[train]), batch_size=16, shuffle=True)

model = nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=2e-3, weight_decay=1e-3)

for epoch in range(30):
    model.train()
    for inputs, target in loader:
        loss = F.mse_loss(model(inputs).squeeze(1), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 3 == 2:
        model.eval()
        with torch.no_grad():
            error = F.mse_loss(model(x[test]).squeeze(1), y[test])
        print(f"epoch {epoch:2d}  loss {loss.item():.4f}  test {error.item():.4f}")
