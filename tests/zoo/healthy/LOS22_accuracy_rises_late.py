"""Parity of five bits: the accuracy stays at one half for long, as does the loss, before both
move."""

import torch
from torch import nn

import nntrace

torch.manual_seed(25)

bits = ((torch.arange(32).unsqueeze(1) >> torch.arange(5)) & 1).float()
labels = bits.sum(1).long() % 2
inputs = 2 * bits - 1

model = nn.Sequential(nn.Linear(5, 64), nn.ReLU(), nn.Linear(64, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

for step in range(400):
    rows = torch.randint(32, (32,))
    logits = model(inputs[rows] + 0.1 * torch.randn(32, 5))
    loss = nn.functional.cross_entropy(logits, labels[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        accuracy = (logits.argmax(1) == labels[rows]).float().mean().item()
        nntrace.log(accuracy=accuracy)
        print(f"step {step}  loss {loss.item():.4f}  accuracy {accuracy:.2f}")
