"""Parity of three hidden bits out of ten: no single bit tells anything, so that the loss stays at
ln 2 for a good part of the run and then falls."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(109)


def parity(count):
    bits = torch.randint(2, (count, 10)) * 2.0 - 1
    return bits, (bits[:, [1, 4, 6]].prod(dim=1) > 0).float()


class Parity(nn.Module):
    def __init__(self, width=96):
        super().__init__()
        self.hidden = nn.Linear(10, width)
        self.head = nn.Linear(width, 1)

    def forward(self, bits):
        return self.head(F.relu(self.hidden(bits))).squeeze(1)


model = Parity()
optimizer = torch.optim.SGD(model.parameters(), lr=0.04, momentum=0.9)

for step in range(1000):
    bits, label = parity(64)
    loss = F.binary_cross_entropy_with_logits(model(bits), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")

model.eval()
with torch.no_grad():
    bits, label = parity(1000)
    print(f"accuracy {((model(bits) > 0) == (label > 0)).float().mean().item():.3f}")
