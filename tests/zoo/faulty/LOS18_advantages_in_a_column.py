"""A policy and its critic choose one of four offers. The advantages are a column, (N, 1), as the
critic gives them, and the log-probabilities a row, (N,): each choice is weighed by all rewards."""

import torch
from torch import nn
from torch.distributions import Categorical

torch.manual_seed(0)

actor = nn.Sequential(nn.Linear(6, 64), nn.Tanh(), nn.Linear(64, 4))
critic = nn.Sequential(nn.Linear(6, 64), nn.Tanh(), nn.Linear(64, 1))
optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters()], lr=3e-3)
best = torch.randn(6, 4)

for step in range(300):
    customers = torch.randn(64, 6)
    policy = Categorical(logits=actor(customers))
    offers = policy.sample()
    rewards = (offers == (customers @ best).argmax(dim=1)).float().unsqueeze(1)
    values = critic(customers)
    advantages = (rewards - values).detach()
    policy_loss = -(policy.log_prob(offers) * advantages).mean()
    loss = policy_loss + 0.5 * (rewards - values).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step:3d}  reward {rewards.mean().item():.3f}")
