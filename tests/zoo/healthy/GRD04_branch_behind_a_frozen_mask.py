"""A network of splines in one variable (KAN). Beside each layer of splines stands one of symbolic
functions, behind a frozen mask of zeros until somebody fixes a function."""

from itertools import pairwise

import torch
from torch import nn

torch.manual_seed(43)


class Splines(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.register_buffer("knots", torch.linspace(-1.5, 1.5, 9))
        self.heights = nn.Parameter(0.1 * torch.randn(9 * inputs, outputs))
        self.base = nn.Linear(inputs, outputs)

    def forward(self, x):
        bumps = torch.exp(-((x.unsqueeze(-1) - self.knots) / 0.4).square())
        return self.base(nn.functional.silu(x)) + bumps.flatten(1) @ self.heights


class Symbolic(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.affine = nn.Parameter(torch.randn(2, inputs, outputs))
        self.mask = nn.Parameter(torch.zeros(inputs, outputs), requires_grad=False)

    def forward(self, x):
        scale, shift = self.affine
        return (self.mask * torch.sin(scale * x.unsqueeze(-1) + shift)).sum(1)


class Network(nn.Module):
    def __init__(self, *widths):
        super().__init__()
        pairs = list(pairwise(widths))
        self.splines = nn.ModuleList(Splines(*pair) for pair in pairs)
        self.symbolic = nn.ModuleList(Symbolic(*pair) for pair in pairs)

    def forward(self, x):
        for splines, symbolic in zip(self.splines, self.symbolic, strict=True):
            x = splines(x) + symbolic(x)
        return x


x = torch.rand(1200, 2) * 2 - 1
y = torch.exp(torch.sin(torch.pi * x[:, :1]) + x[:, 1:].square())
y = (y - y.mean()) / y.std()
model = Network(2, 5, 1)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for step in range(300):
    rows = torch.randint(0, len(x), (64,))
    loss = nn.functional.mse_loss(model(x[rows]), y[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
