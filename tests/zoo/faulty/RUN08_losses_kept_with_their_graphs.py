"""Regression whose loop appends the loss itself to its history: every loss keeps all activations of
its step."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(91)

x = torch.randn(4096, 16)
y = torch.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3]

layers = [nn.Linear(16, 256), nn.ReLU()]
for _ in range(2):
    layers += [nn.Linear(256, 256), nn.ReLU()]
model = nn.Sequential(*layers, nn.Linear(256, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
history = []

for step in range(200):
    rows = torch.randint(4096, (512,))
    loss = F.mse_loss(model(x[rows]), y[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    history.append(F.l1_loss(model(x[rows]), y[rows]))
    if step % 40 == 0:
        print(f"step {step}  loss {loss.item():.4f}  mean error {sum(history) / len(history):.4f}")
