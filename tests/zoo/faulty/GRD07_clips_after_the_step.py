"""Adds up two marked numbers of a sequence; the gradient is clipped when the step is over."""

import torch
from torch import nn

torch.manual_seed(33)


class Adder(nn.Module):
    def __init__(self):
        super().__init__()
        self.memory = nn.GRU(2, 32, batch_first=True)
        self.out = nn.Linear(32, 1)

    def forward(self, x):
        return self.out(self.memory(x)[0][:, -1])


def sequences(number=32, length=20):
    values, marks = torch.rand(number, length), torch.zeros(number, length)
    rows = torch.arange(number)
    first, second = torch.randint(0, 10, (number,)), torch.randint(10, length, (number,))
    marks[rows, first] = marks[rows, second] = 1.0
    return torch.stack([values, marks], 2), (values[rows, first] + values[rows, second])[:, None]


model = Adder()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

for step in range(240):
    x, y = sequences()
    loss = nn.functional.mse_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    if step % 40 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
