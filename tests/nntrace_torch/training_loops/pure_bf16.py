"""A model that is bf16 altogether: weights, activations and gradients."""

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(0)
images, labels = map(torch.tensor, load_digits(return_X_y=True))
images = ((images.float() - 4.9) / 6.0).bfloat16()
model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)).bfloat16()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(80):
    chosen = torch.randint(len(images), (64,))
    loss = nn.functional.cross_entropy(model(images[chosen]).float(), labels[chosen])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
