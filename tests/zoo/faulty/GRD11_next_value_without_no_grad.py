"""Q-learning on recorded transitions of a windy ring. In review: the value of the next state comes
from the network that learns, without `torch.no_grad()`."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(32)

PLACES = 12
now = torch.randint(0, PLACES, (4000,))
action = torch.randint(0, 3, (4000,))
then = (now + action - 1 + torch.randint(0, 2, (4000,))) % PLACES
reward = (then == 0).float() + 0.1 * torch.randn(4000)
goes_on = (then != 0).float()

model = nn.Sequential(nn.Linear(PLACES, 64), nn.Tanh(), nn.Linear(64, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for step in range(300):
    drawn = torch.randint(0, 4000, (64,))
    values = model(F.one_hot(now[drawn], PLACES).float())
    taken = values.gather(1, action[drawn].unsqueeze(1)).squeeze(1)
    after = model(F.one_hot(then[drawn], PLACES).float()).max(1)[0]
    wanted = reward[drawn] + 0.9 * after * goes_on[drawn]
    loss = F.smooth_l1_loss(taken, wanted)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
