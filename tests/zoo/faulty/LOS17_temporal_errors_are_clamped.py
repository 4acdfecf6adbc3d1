"""Learns the value of states of a random walk by temporal differences; the errors are clamped to
[-1, 1] before they are squared, as early DQN code did, and large ones teach nothing."""

import torch
from torch import nn

torch.manual_seed(28)

STATES = 12
reward = 1.5 * torch.randn(STATES)
model = nn.Sequential(nn.Linear(STATES, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
one_hot = torch.eye(STATES)

for step in range(300):
    state = torch.randint(STATES, (64,))
    after = (state + torch.randint(-1, 2, (64,))) % STATES
    with torch.no_grad():
        target = reward[state] + 0.8 * model(one_hot[after]).squeeze(1)
    error = target - model(one_hot[state]).squeeze(1)
    loss = error.clamp(-1, 1).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 60 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
