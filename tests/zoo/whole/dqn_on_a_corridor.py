"""Deep Q-learning with a replay memory and a target network: walk a corridor to its end."""

import copy
import random

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(205)
random.seed(205)

LENGTH = 8
q = nn.Sequential(nn.Linear(LENGTH, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh(), nn.Linear(48, 2))
target = copy.deepcopy(q).requires_grad_(False)
optimizer = torch.optim.Adam(q.parameters(), lr=1e-3)
memory, place = [], 0


def seen(places):
    return F.one_hot(torch.tensor(places), LENGTH).float()


for step in range(900):
    with torch.no_grad():
        greedy = int(q(seen([place]))[0].argmax())
    action = random.randrange(2) if random.random() < max(0.1, 1 - step / 400) else greedy
    after = max(0, min(LENGTH - 1, place + (1 if action else -1)))
    done = after == LENGTH - 1
    memory.append((place, action, float(done), after, float(done)))
    place = random.randrange(LENGTH - 1) if done else after
    if step < 100 or step % 2:
        continue
    now, actions, rewards, then, ends = zip(*random.sample(memory, 64), strict=True)
    with torch.no_grad():
        future = target(seen(list(then))).max(1).values
        wanted = torch.tensor(rewards) + 0.95 * (1 - torch.tensor(ends)) * future
    value = q(seen(list(now))).gather(1, torch.tensor(actions)[:, None]).squeeze(1)
    loss = F.smooth_l1_loss(value, wanted)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        target.load_state_dict(q.state_dict())
        print(f"step {step:3d}  loss {loss.item():.5f}")
