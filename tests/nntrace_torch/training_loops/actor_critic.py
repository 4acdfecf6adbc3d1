"""Advantage actor-critic on a walk to the right: two losses, then two optimizers step."""

import torch
from torch import nn

torch.manual_seed(0)
actor = nn.Sequential(nn.Linear(5, 32), nn.Tanh(), nn.Linear(32, 2))
critic = nn.Sequential(nn.Linear(5, 32), nn.Tanh(), nn.Linear(32, 1))
actor_optimizer = torch.optim.Adam(actor.parameters(), lr=3e-3)
critic_optimizer = torch.optim.Adam(critic.parameters(), lr=1e-2)
for _ in range(80):
    place = torch.randint(0, 5, (64,))
    state = nn.functional.one_hot(place, 5).float()
    policy = torch.distributions.Categorical(logits=actor(state))
    action = policy.sample()
    there = (place + 2 * action - 1).clamp(0, 4)
    reward = (there == 4).float()
    with torch.no_grad():
        target = reward + 0.9 * critic(nn.functional.one_hot(there, 5).float()).squeeze(1)
    value = critic(state).squeeze(1)
    advantage = (target - value).detach()
    actor_optimizer.zero_grad()
    critic_optimizer.zero_grad()
    actor_loss = -(policy.log_prob(action) * advantage).mean() - 0.01 * policy.entropy().mean()
    critic_loss = nn.functional.smooth_l1_loss(value, target)
    actor_loss.backward()
    critic_loss.backward()
    actor_optimizer.step()
    critic_optimizer.step()
