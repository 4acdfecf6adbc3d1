"""Two views of each digit shall be alike among the views of a batch. In review: the embeddings are
normalised with `dim=0`, across the batch, before they are compared."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(141)

digits = torch.tensor(load_digits().data, dtype=torch.float32) / 16
model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 32))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)


def view(images):
    return images * (torch.rand_like(images) > 0.2) + 0.1 * torch.randn_like(images)


for epoch in range(10):
    for batch in digits[torch.randperm(len(digits))].split(64):
        one = F.normalize(model(view(batch)), dim=0)
        other = F.normalize(model(view(batch)), dim=0)
        scores, pairs = one @ other.t() / 0.1, torch.arange(len(batch))
        loss = (F.cross_entropy(scores, pairs) + F.cross_entropy(scores.t(), pairs)) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
