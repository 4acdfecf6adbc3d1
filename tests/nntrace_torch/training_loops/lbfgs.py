"""LBFGS on the whole data set: several forwards and backwards inside `optimizer.step`."""

import torch
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler
from torch import nn

torch.manual_seed(0)
raw, target = load_diabetes(return_X_y=True)
inputs = torch.tensor(StandardScaler().fit_transform(raw)).float()
targets = torch.tensor(StandardScaler().fit_transform(target[:, None])).float()
model = nn.Sequential(nn.Linear(10, 16), nn.Tanh(), nn.Linear(16, 1))
optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=4, line_search_fn="strong_wolfe")


def closure():
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(model(inputs), targets)
    loss.backward()
    return loss


for _ in range(12):
    optimizer.step(closure)
