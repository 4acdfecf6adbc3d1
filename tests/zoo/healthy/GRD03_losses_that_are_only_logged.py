"""Regression of a disease's course by its squared error; the absolute one is computed for the log,
and Huber's error helps in the beginning."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_diabetes
from torch import nn

torch.manual_seed(304)

diabetes = load_diabetes()
features = torch.tensor(diabetes.data, dtype=torch.float32) * 20
targets = torch.tensor(diabetes.target, dtype=torch.float32)
targets = (targets - targets.mean()) / targets.std()

model = nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(30):
    share = max(0.0, 1 - epoch / 10)
    for rows in torch.randperm(400).split(40):
        predicted = model(features[rows]).squeeze(1)
        squared = F.mse_loss(predicted, targets[rows])
        absolute = F.l1_loss(predicted, targets[rows])
        loss = squared + share * F.smooth_l1_loss(predicted, targets[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}  absolute error {absolute.item():.4f}")
