"""REINFORCE on a small corridor: its loss has no floor and its batches come from the policy."""

import torch
from torch import nn

torch.manual_seed(0)
policy = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 2))
optimizer = torch.optim.Adam(policy.parameters(), lr=5e-3)
for _ in range(120):
    place, logs, rewards = 0.0, [], []
    for time in range(30):
        state = torch.tensor([place, time / 30])
        choice = torch.distributions.Categorical(logits=policy(state))
        action = choice.sample()
        logs.append(choice.log_prob(action))
        place += 0.2 if action else -0.1
        rewards.append(-0.1 if abs(place) < 1 else 1.0)
        if abs(place) >= 1:
            break
    returns = torch.tensor(rewards).flip(0).cumsum(0).flip(0)
    returns = returns - returns.mean()
    loss = -(torch.stack(logs) * returns).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
