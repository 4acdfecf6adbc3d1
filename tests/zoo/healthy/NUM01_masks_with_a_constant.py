"""Sorts numbers by pointing at them one after the other. What was pointed at is masked with minus
infinity, which the network holds as a frozen parameter so that it moves with it to a device."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(53)


class Pointer(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(1, width), nn.ReLU(), nn.Linear(width, width))
        self.decode = nn.GRUCell(width, width)
        self.start = nn.Parameter(torch.zeros(width))
        self.never = nn.Parameter(torch.tensor(float("-inf")), requires_grad=False)

    def forward(self, numbers, order):
        points = self.encode(numbers.unsqueeze(2))
        state, last = points.mean(1), self.start.expand(len(points), -1)
        open_ones = torch.ones_like(numbers, dtype=torch.bool)
        answers = []
        for place in range(numbers.shape[1]):
            state = self.decode(last, state)
            scores = torch.einsum("bnw,bw->bn", points, state)
            answers.append(torch.where(open_ones, scores, self.never))
            chosen = order[:, place]
            open_ones = open_ones & (F.one_hot(chosen, numbers.shape[1]) == 0)
            last = points[torch.arange(len(points)), chosen]
        return torch.stack(answers, 1)


model = Pointer(32)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(200):
    numbers = torch.rand(64, 5) * 2 - 1
    order = numbers.argsort(1)
    loss = F.cross_entropy(model(numbers, order).flatten(0, 1), order.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
