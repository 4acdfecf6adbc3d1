"""Disease progression from all products of measurements: a wide network on 80 patients."""

import torch
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from torch import nn

torch.manual_seed(19)

data = load_diabetes()
products = PolynomialFeatures(2, include_bias=False).fit_transform(
    StandardScaler().fit_transform(data.data)
)
x = torch.tensor(StandardScaler().fit_transform(products), dtype=torch.float32)
y = torch.tensor(data.target, dtype=torch.float32).unsqueeze(1)
y = (y - y.mean()) / y.std()
x_train, y_train, x_val, y_val = x[:80], y[:80], x[80:], y[80:]

model = nn.Sequential(nn.Linear(x.shape[1], 128), nn.Tanh(), nn.Linear(128, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
criterion = nn.MSELoss()


def validate():
    model.eval()
    with torch.no_grad():
        value = criterion(model(x_val), y_val).item()
    model.train()
    return value


for step in range(400):
    rows = torch.randperm(80)[:40]
    loss = criterion(model(x_train[rows]), y_train[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step}  training {loss.item():.4f}  validation {validate():.4f}")
