"""A network written with tensors alone, in the style of a lecture; nothing to turn off."""

import torch
from torch.nn import functional as F

torch.manual_seed(0)
words = torch.cumsum(torch.randint(1, 3, (4000,)), 0) % 27
contexts = torch.stack([words[i : len(words) - 3 + i] for i in range(3)], 1)
nexts = words[3:]
table = torch.randn(27, 8)
w1, b1 = torch.randn(24, 64) * 0.2, torch.zeros(64)
w2, b2 = torch.randn(64, 27) * 0.05, torch.zeros(27)
parameters = [table, w1, b1, w2, b2]
for parameter in parameters:
    parameter.requires_grad_()
optimizer = torch.optim.SGD(parameters, lr=0.3)
for _ in range(250):
    chosen = torch.randint(0, len(nexts), (64,))
    hidden = torch.tanh(table[contexts[chosen]].view(-1, 24) @ w1 + b1)
    loss = F.cross_entropy(hidden @ w2 + b2, nexts[chosen])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
