"""Regression with an exponential moving average of the weights for evaluation: after each epoch the
average is copied into the model, which trains on from there. In review: a swap without its undo."""

import copy

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(73)


class Regressor(nn.Module):
    def __init__(self, inputs, width=64):
        super().__init__()
        self.fc1 = nn.Linear(inputs, width)
        self.fc2 = nn.Linear(width, width)
        self.head = nn.Linear(width, 1)
        for layer in (self.fc1, self.fc2):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, x):
        return self.head(F.relu(self.fc2(F.relu(self.fc1(x))))).squeeze(1)


def measurements(count):
    x = torch.randn(count, 12)
    y = torch.sin(x[:, 0] * 2) + x[:, 1] * x[:, 2] + 0.5 * x[:, 3:6].sum(1)
    return x, (y - y.mean()) / y.std()


x, y = measurements(640)
x_eval, y_eval = measurements(400)
loader = DataLoader(TensorDataset(x, y), batch_size=64, shuffle=True)
model = Regressor(12)
average = copy.deepcopy(model)
optimizer = torch.optim.SGD(model.parameters(), lr=0.0015)


@torch.no_grad()
def evaluate():
    model.load_state_dict(average.state_dict())
    model.eval()
    error = F.mse_loss(model(x_eval), y_eval).item()
    model.train()
    return error


for epoch in range(50):
    for inputs, target in loader:
        loss = F.mse_loss(model(inputs), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for mean, weight in zip(average.parameters(), model.parameters(), strict=True):
                mean.lerp_(weight, 1e-4)
    error = evaluate()
    if epoch % 5 == 0:
        print(f"epoch {epoch:2d}  loss {loss.item():.4f}  eval {error:.4f}")
