"""REINFORCE with a baseline: a policy over five actions whose rewards depend on the context."""

import torch
from torch import nn

torch.manual_seed(204)

best = torch.randn(6, 5)
policy = nn.Sequential(nn.Linear(6, 48), nn.Tanh(), nn.Linear(48, 5))
nn.init.zeros_(policy[-1].weight)
optimizer = torch.optim.Adam(policy.parameters(), lr=5e-3)
baseline = 0.0

for step in range(300):
    context = torch.randn(64, 6)
    actions = torch.distributions.Categorical(logits=policy(context))
    chosen = actions.sample()
    reward = (context @ best).gather(1, chosen[:, None]).squeeze(1) + 0.3 * torch.randn(64)
    baseline = 0.9 * baseline + 0.1 * reward.mean().item()
    loss = -(actions.log_prob(chosen) * (reward - baseline)).mean()
    loss = loss - 0.01 * actions.entropy().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step:3d}  reward {reward.mean().item():.3f}")
