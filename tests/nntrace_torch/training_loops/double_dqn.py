"""Double Q-learning: a rollout without gradients before each few steps, targets from a copy."""

import copy

import torch
from torch import nn

torch.manual_seed(3)
policy = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))
target = copy.deepcopy(policy)
optimizer = torch.optim.Adam(policy.parameters(), lr=3e-3)
place, memory = torch.randn(4), []
for step in range(160):
    if step % 4 == 0:
        for _ in range(16):
            with torch.no_grad():
                action = int(policy(place).argmax()) if torch.rand(()) > 0.1 else 1
            after = (0.9 * place + 0.3 * torch.randn(4) + 0.1 * action).clamp(-3, 3)
            memory.append((place, action, float(after[0] > 0), after))
            place = after
    drawn = [memory[i] for i in torch.randint(len(memory), (32,))]
    before, actions, rewards, then = (
        torch.stack([torch.as_tensor(one[part]) for one in drawn]) for part in range(4)
    )
    # Detached, not without gradients: as many write it.
    best = policy(then).argmax(1, keepdim=True)
    wanted = (rewards + 0.95 * target(then).gather(1, best).squeeze(1)).detach()
    error = policy(before).gather(1, actions[:, None]).squeeze(1) - wanted
    optimizer.zero_grad()
    (error**2).mean().backward()
    optimizer.step()
    if step % 20 == 19:
        target.load_state_dict(policy.state_dict())
