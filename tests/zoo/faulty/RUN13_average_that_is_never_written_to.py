"""Reads digits and evaluates an average of the weights, which stays the untrained copy it was made
as: the line that shall move it gives its name to a new tensor.
"""

import copy

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

torch.manual_seed(55)
digits = load_digits()
pixels = torch.tensor(digits.data / 16.0, dtype=torch.float32) - 0.3
digit = torch.tensor(digits.target)
reader = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
averaged = copy.deepcopy(reader).requires_grad_(False)
optimizer = torch.optim.Adam(reader.parameters(), lr=1e-3)
for epoch in range(10):
    for chosen in torch.randperm(1500).split(50):
        loss = functional.cross_entropy(reader(pixels[chosen]), digit[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for average, weight in zip(averaged.parameters(), reader.parameters(), strict=True):
            average = 0.99 * average + 0.01 * weight
    with torch.no_grad():
        held_out = functional.cross_entropy(averaged(pixels[1500:]), digit[1500:])
    print(f"epoch {epoch}  loss {loss.item():.3f}  held out {held_out.item():.3f}")
