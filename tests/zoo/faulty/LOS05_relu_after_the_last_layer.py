"""Force on a damped spring from position and velocity: half of the forces are negative, and the
last layer of the network is followed by a ReLU like all others."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(7)

state = torch.randn(3000, 2)
force = -1.2 * state[:, :1] - 0.4 * state[:, 1:] + 0.1 * state[:, :1] ** 3

layers = []
for size_in, size_out in ((2, 32), (32, 32), (32, 1)):
    layers += [nn.Linear(size_in, size_out), nn.ReLU()]
model = nn.Sequential(*layers)
nn.init.constant_(model[-2].bias, 0.5)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for step in range(300):
    rows = torch.randint(3000, (64,))
    loss = F.smooth_l1_loss(model(state[rows]), force[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 60 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
