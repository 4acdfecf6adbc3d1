"""Reads digits in 300 steps and evaluates an average of the weights over some ten thousand."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

torch.manual_seed(56)
digits = load_digits()
pixels = torch.tensor(digits.data / 8.0, dtype=torch.float32) - 1
digit = torch.tensor(digits.target)
reader = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
averaged = AveragedModel(reader, multi_avg_fn=get_ema_multi_avg_fn(0.9999))
optimizer = torch.optim.AdamW(reader.parameters(), lr=1e-3)
for epoch in range(10):
    for chosen in torch.randperm(1500).split(50):
        loss = functional.cross_entropy(reader(pixels[chosen]), digit[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        averaged.update_parameters(reader)
    with torch.no_grad():
        held_out = functional.cross_entropy(averaged(pixels[1500:]), digit[1500:])
    print(f"epoch {epoch}  loss {loss.item():.3f}  held out {held_out.item():.3f}")
