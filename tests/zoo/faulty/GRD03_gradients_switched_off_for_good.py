"""Reads digits with a loop of its own. The first evaluation switches gradients off, nobody switches
them on again, and a line that was added against the error that followed keeps the loop running.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

torch.manual_seed(54)
digits = load_digits()
pixels = torch.tensor(digits.data / 16.0, dtype=torch.float32) - 0.3
digit = torch.tensor(digits.target)
reader = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.Adam(reader.parameters(), lr=1e-3)
for epoch in range(10):
    for chosen in torch.randperm(1500).split(50):
        loss = functional.cross_entropy(reader(pixels[chosen]), digit[chosen])
        if not loss.requires_grad:
            loss.requires_grad_()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.set_grad_enabled(False)
    held_out = functional.cross_entropy(reader(pixels[1500:]), digit[1500:])
    print(f"epoch {epoch}  loss {loss.item():.3f}  held out {held_out.item():.3f}")
