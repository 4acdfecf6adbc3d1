"""A critic follows returns of about ten: its tanh units saturate and come free again.

As the policy changes, other states are met, and other units are at their ends.
"""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(75)
body = nn.Sequential(nn.Linear(2, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh())
value = nn.Linear(48, 1)
optimizer = torch.optim.Adam([*body.parameters(), *value.parameters()], lr=4e-3)

for update in range(240):
    reach = 0.3 + abs((update % 60) - 30) / 15
    state = reach * torch.randn(128, 2)
    returns = 10 - 4 * state.norm(dim=1) + torch.randn(128)
    loss = 0.5 * F.mse_loss(value(body(state))[:, 0], returns)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
