"""Wine classifier whose batch norms have a momentum of 0.001, which in TensorFlow would be 0.999:
running statistics hardly leave their start. In review: a number carried over in a port."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_wine
from torch import nn

torch.manual_seed(43)

wine = load_wine()
x = torch.tensor(wine.data, dtype=torch.float32)
x, y = (x - x.mean(0)) / x.std(0), torch.tensor(wine.target)
model = nn.Sequential(
    nn.Linear(13, 64, bias=False),
    nn.BatchNorm1d(64, momentum=0.001),
    nn.ReLU(),
    nn.Linear(64, 64, bias=False),
    nn.BatchNorm1d(64, momentum=0.001),
    nn.ReLU(),
    nn.Linear(64, 3),
)
for layer in model:
    if isinstance(layer, nn.Linear):
        nn.init.normal_(layer.weight, std=0.7 if layer.bias is None else 0.1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

for epoch in range(50):
    for rows in torch.randperm(len(x))[:160].split(32):
        loss = F.cross_entropy(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 10 == 0:
        print(f"epoch {epoch}  loss {loss.item():.4f}")
