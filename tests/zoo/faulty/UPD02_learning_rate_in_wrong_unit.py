"""Wine classifier whose config gives the learning rate per million examples; the script divides
once too often and trains at 1e-7. In review: `args.lr / 1e6`, far from the optimizer."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_wine
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(22)

CONFIG = {"learning_rate": 0.1, "momentum": 0.9, "epochs": 60}

wine = load_wine()
x = torch.tensor(wine.data, dtype=torch.float32)
x = (x - x.mean(0)) / x.std(0)
loader = DataLoader(TensorDataset(x, torch.tensor(wine.target)), batch_size=16, shuffle=True)

model = nn.Sequential(nn.Linear(13, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 3))
optimizer = torch.optim.SGD(
    model.parameters(), lr=CONFIG["learning_rate"] / 1e6, momentum=CONFIG["momentum"]
)

for epoch in range(CONFIG["epochs"]):
    for features, cultivar in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(features), cultivar)
        loss.backward()
        optimizer.step()
    if epoch % 6 == 0:
        print(f"epoch {epoch:2d}  loss {loss.item():.4f}")
