"""Value network whose targets are its own next values with a discount above one, mistyped: values
and weights run away together."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(52)

states = torch.randn(2000, 8)
following = 0.95 * states + 0.1 * torch.randn(2000, 8)
reward = states[:, :1]
value = nn.Sequential(nn.Linear(8, 48), nn.ReLU(), nn.Linear(48, 1))
optimizer = torch.optim.Adam(value.parameters(), lr=2e-3)

for epoch in range(30):
    for rows in torch.randperm(len(states)).split(100):
        with torch.no_grad():
            wanted = reward[rows] + 1.5 * value(following[rows])
        loss = F.mse_loss(value(states[rows]), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4g}")
