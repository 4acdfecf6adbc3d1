"""Model of the logarithm of a price, which is around 5.5, whose last bias starts at zero: the first
epochs are spent on learning the mean. In review: no line at all, the bias was never set."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(32)

x = torch.randn(2000, 6)
price = 5.5 + 0.9 * torch.tanh(x[:, 0] + x[:, 1] * x[:, 2]) + 0.2 * torch.randn(2000)

model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

for epoch in range(8):
    for rows in torch.randperm(len(x)).split(64):
        loss = F.mse_loss(model(x[rows]).squeeze(1), price[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
