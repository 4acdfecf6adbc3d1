"""The same moons and a network with a hidden layer, which fits both sets well."""

import torch
import torch.nn.functional as F
from sklearn.datasets import make_moons
from torch import nn

torch.manual_seed(2)

x, y = (torch.tensor(a, dtype=torch.float32) for a in make_moons(3000, noise=0.2, random_state=0))
x = (x - x.mean(0)) / x.std(0)
train_x, train_y, test_x, test_y = x[:2000], y[:2000], x[2000:], y[2000:]

model = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)

for step in range(600):
    rows = torch.randint(2000, (256,))
    loss = F.binary_cross_entropy_with_logits(model(train_x[rows]).squeeze(1), train_y[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 99:
        with torch.no_grad():
            test = F.binary_cross_entropy_with_logits(model(test_x).squeeze(1), test_y).item()
        print(f"step {step}  loss {loss.item():.4f}  test {test:.4f}")
