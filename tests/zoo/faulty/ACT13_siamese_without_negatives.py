"""Self-supervised digits: two views of an image are pulled together, and nothing pushes different
images apart, so all become one point. In review: the loss looks right and falls."""

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(44)

x = torch.tensor(load_digits().data, dtype=torch.float32)
x = (x - x.mean()) / x.std()
model = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 16))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)


def view(images):
    return images * (torch.rand_like(images) > 0.2) + 0.2 * torch.randn_like(images)


for epoch in range(16):
    for rows in torch.randperm(len(x)).split(128):
        one, two = model(view(x[rows])), model(view(x[rows]))
        loss = (one - two).square().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.6f}")
