"""A model made on the meta device and given memory later, as large ones are."""

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(0)
images, labels = map(torch.tensor, load_digits(return_X_y=True))
images = (images.float() - 4.9) / 6.0
with torch.device("meta"):
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    model(torch.empty(1, 64, device="meta"))  # shapes only
model.to_empty(device="cpu")
for layer in model:
    if hasattr(layer, "reset_parameters"):
        layer.reset_parameters()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, fused=True)
for _ in range(80):
    chosen = torch.randint(len(images), (64,))
    loss = nn.functional.cross_entropy(model(images[chosen]), labels[chosen])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
