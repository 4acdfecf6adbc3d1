"""Actor-critic whose rewards depend on the action alone: the critic's error stays at the variance
of the returns, which no look at the state explains, while the policy gets better."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Categorical

torch.manual_seed(94)


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, 64), nn.ReLU())
        self.policy = nn.Linear(64, 5)
        self.value = nn.Linear(64, 1)

    def forward(self, state):
        hidden = self.body(state)
        return Categorical(logits=self.policy(hidden)), self.value(hidden).squeeze(-1)


model = ActorCritic()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for step in range(400):
    state = torch.rand(64, 5)
    choice, value = model(state)
    action = choice.sample()
    reward = (action == state.argmax(1)).float()
    advantage = (reward - value).detach()
    gain = (choice.log_prob(action) * advantage).mean()
    loss = 0.5 * F.mse_loss(value, reward) - gain - 0.01 * choice.entropy().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step:3d}  reward {reward.mean().item():.3f}")
