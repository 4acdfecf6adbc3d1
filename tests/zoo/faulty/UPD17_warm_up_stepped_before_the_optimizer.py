"""Recurrent classifier with a warm-up that is stepped right after the gradients are cleared, so
that "this step's rate is set": each step gets the rate of the next one."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(166)


class Parity(nn.Module):
    def __init__(self):
        super().__init__()
        self.bits = nn.Embedding(2, 8)
        self.gru = nn.GRU(8, 32, batch_first=True)
        self.out = nn.Linear(32, 2)

    def forward(self, bits):
        return self.out(self.gru(self.bits(bits))[1][-1])


model = Parity()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
warm_up = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, 1.0, total_iters=30)

for step in range(250):
    optimizer.zero_grad()
    warm_up.step()
    bits = torch.randint(2, (64, 6))
    loss = F.cross_entropy(model(bits), (bits.sum(dim=1) > 3).long())
    loss.backward()
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
