"""Regression on a stream with a memory of the last batches, which fills up and then stays: steady
growth with an end."""

from collections import deque

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(93)

weight = torch.randn(2048, 1) / 2048**0.5
memory = deque(maxlen=100)
model = nn.Sequential(nn.Linear(2048, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for step in range(250):
    new = torch.randn(128, 2048)
    memory.append((new, torch.tanh(new @ weight)))
    x, y = memory[int(torch.randint(len(memory), ()))]
    loss = F.mse_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
