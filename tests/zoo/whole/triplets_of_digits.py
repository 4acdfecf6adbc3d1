"""Metric learning: triplets of digits with a margin, embeddings on a sphere."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(311)

digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32)
x = (x - x.mean()) / x.std()
y = torch.tensor(digits.target)
by_class = [torch.nonzero(y == label)[:, 0] for label in range(10)]


def pick(labels):
    return torch.stack([group[int(torch.randint(len(group), ()))] for group in labels])


model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 16))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
criterion = nn.TripletMarginLoss(margin=0.5)

for step in range(200):
    anchor = torch.randint(len(x), (64,))
    same = pick([by_class[label] for label in y[anchor]])
    other = pick([by_class[(label + int(torch.randint(1, 10, ()))) % 10] for label in y[anchor]])
    codes = [F.normalize(model(x[rows]), dim=1) for rows in (anchor, same, other)]
    loss = criterion(*codes)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
