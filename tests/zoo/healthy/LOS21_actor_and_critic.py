"""Soft actor-critic on a task of one step: the critic's squared error is never negative, the
actor's objective is, as soon as it does well.
"""

import torch
from torch import nn
from torch.distributions import Normal

torch.manual_seed(0)
actor = nn.Sequential(nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, 2))
critic = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 1))
actor_optimizer = torch.optim.Adam(actor.parameters(), lr=1e-3)
critic_optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3)


def act(states):
    mean, log_scale = actor(states).chunk(2, -1)
    choice = Normal(mean, log_scale.clamp(-5, 2).exp())
    raw = choice.rsample()
    action = raw.tanh()
    return action, choice.log_prob(raw) - torch.log(1 - action**2 + 1e-6)


for step in range(400):
    states = torch.randn(64, 3)
    action, _ = act(states)
    action = action.detach()
    reward = 1 - (action - states[:, :1].tanh()) ** 2
    loss = nn.functional.mse_loss(critic(torch.cat([states, action], 1)), reward)
    critic_optimizer.zero_grad()
    loss.backward()
    critic_optimizer.step()
    action, log_probability = act(states)
    objective = (0.05 * log_probability - critic(torch.cat([states, action], 1))).mean()
    actor_optimizer.zero_grad()
    objective.backward()
    actor_optimizer.step()
    if step % 80 == 0:
        print(f"step {step}  critic {loss.item():.4f}  reward {reward.mean().item():.4f}")
