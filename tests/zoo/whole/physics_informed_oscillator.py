"""Physics-informed network: finds the motion of a damped spring from its equation and its start, by
second derivatives of the network."""

import torch
from torch import nn

torch.manual_seed(308)

model = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
start = torch.zeros(1, 1, requires_grad=True)


def derivative(values, time):
    return torch.autograd.grad(values.sum(), time, create_graph=True)[0]


for step in range(300):
    time = (2 * torch.rand(64, 1)).requires_grad_()
    place = model(time)
    speed = derivative(place, time)
    residual = derivative(speed, time) + 0.4 * speed + 4.0 * place
    begin = model(start)
    at_start = (begin - 1).square().mean() + derivative(begin, start).square().mean()
    loss = 0.1 * residual.square().mean() + at_start
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
