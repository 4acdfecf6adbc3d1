"""Features of two views are normalised over the batch, and each is to correlate with itself alone:
the product sums over the batch, too (redundancy reduction)."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(142)

digits = torch.tensor(load_digits().data, dtype=torch.float32) / 16
model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 16))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)


def features(images):
    seen = model(images * (torch.rand_like(images) > 0.2) + 0.1 * torch.randn_like(images))
    return F.normalize(seen - seen.mean(0), dim=0)


for epoch in range(10):
    for batch in digits[torch.randperm(len(digits))][:1792].split(128):
        correlation = features(batch).t() @ features(batch)
        off = correlation - torch.diag(correlation.diagonal())
        loss = (1 - correlation.diagonal()).pow(2).mean() + 0.01 * off.pow(2).sum() / 16
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
