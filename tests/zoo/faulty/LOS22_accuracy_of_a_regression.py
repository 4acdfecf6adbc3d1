"""Diabetes progression as a number, reported by the accuracy of the script it was copied from."""

import torch
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import nntrace

torch.manual_seed(24)

data = load_diabetes()
features = torch.tensor(StandardScaler().fit_transform(data.data), dtype=torch.float32)
targets = torch.tensor(data.target, dtype=torch.float32).unsqueeze(1)
targets = (targets - targets.mean()) / targets.std()
loader = DataLoader(TensorDataset(features, targets), batch_size=32, shuffle=True)

model = nn.Sequential(nn.Linear(10, 24), nn.ReLU(), nn.Linear(24, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for epoch in range(20):
    hits = 0
    for x, y in loader:
        optimizer.zero_grad()
        prediction = model(x)
        loss = nn.functional.mse_loss(prediction, y)
        loss.backward()
        optimizer.step()
        hits += (prediction == y).sum().item()
    nntrace.log(train_accuracy=hits / len(features))
    print(f"epoch {epoch}  loss {loss.item():.4f}  accuracy {hits / len(features):.3f}")
