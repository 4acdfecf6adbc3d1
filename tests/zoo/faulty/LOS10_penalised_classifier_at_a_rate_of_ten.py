"""Softmax regression on wines with a penalty on its weights, on all wines at each step, at a
learning rate of 10."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler
from torch import nn

torch.manual_seed(0)

wine = load_wine()
x = torch.tensor(StandardScaler().fit_transform(wine.data), dtype=torch.float32)
y = torch.tensor(wine.target)

model = nn.Linear(13, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=10.0)

for step in range(150):
    loss = F.cross_entropy(model(x), y) + 0.05 * model.weight.pow(2).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 < 2:
        print(f"step {step}  loss {loss.item():.4f}")
