"""Advantage actor-critic that learns to hold an unstable system near zero, in 16 worlds."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(303)


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh())
        self.policy, self.value = nn.Linear(48, 2), nn.Linear(48, 1)

    def forward(self, x):
        hidden = self.body(x)
        return torch.distributions.Categorical(logits=self.policy(hidden)), self.value(hidden)[:, 0]


def move(state, action):
    place, speed = state.unbind(1)
    speed = speed + 0.1 * (0.5 * place + 2.0 * action - 1.0) + 0.02 * torch.randn(len(state))
    place = place + 0.1 * speed
    out = place.abs() > 1
    after = torch.stack([place, speed], 1)
    return (
        torch.where(out[:, None], 0.2 * torch.randn(len(state), 2), after),
        0.1 - 0.1 * place.abs(),
        out,
    )


model = ActorCritic()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
state = 0.2 * torch.randn(16, 2)

for update in range(200):
    seen, taken, rewards, ends = [], [], [], []
    for _ in range(8):
        with torch.no_grad():
            action = model(state)[0].sample()
        seen.append(state)
        taken.append(action)
        state, reward, out = move(state, action.float())
        rewards.append(torch.where(out, -1.0, reward))
        ends.append(out)
    with torch.no_grad():
        total = model(state)[1]
    returns = []
    for reward, out in zip(rewards[::-1], ends[::-1], strict=True):
        total = reward + 0.95 * total * ~out
        returns.append(total)
    returns = torch.cat(returns[::-1])
    policy, value = model(torch.cat(seen))
    advantage = (returns - value).detach()
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-6)
    gain = (policy.log_prob(torch.cat(taken)) * advantage).mean()
    loss = 0.5 * F.mse_loss(value, returns) - gain - 0.01 * policy.entropy().mean()
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.5)
    optimizer.step()
    if update % 40 == 0:
        print(f"update {update}  loss {loss.item():.4f}  return {returns.mean().item():.3f}")
