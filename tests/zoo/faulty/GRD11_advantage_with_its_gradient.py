"""Actor and critic of one module choose one of four arms by what they see of them. In review: the
advantage weighs the log-probabilities without `.detach()`."""

import torch
from torch import nn
from torch.distributions import Categorical

torch.manual_seed(31)


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(6, 48), nn.Tanh())
        self.policy, self.value = nn.Linear(48, 4), nn.Linear(48, 1)

    def forward(self, state):
        seen = self.trunk(state)
        return Categorical(logits=self.policy(seen)), self.value(seen).squeeze(-1)


pays = torch.randn(6, 4)
agent = ActorCritic()
optimizer = torch.optim.Adam(agent.parameters(), lr=3e-3)

for update in range(250):
    state = torch.randn(64, 6)
    choice, value = agent(state)
    arm = choice.sample()
    reward = (state @ pays).gather(1, arm.unsqueeze(1)).squeeze(1)
    advantage = reward - value
    of_policy = -(choice.log_prob(arm) * advantage).mean()
    loss = of_policy + 0.5 * advantage.pow(2).mean() - 0.01 * choice.entropy().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if update % 50 == 0:
        print(f"update {update}  reward {reward.mean():.3f}")
