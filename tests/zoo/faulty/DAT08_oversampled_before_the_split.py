"""Classifier of a table in which one row in ten is positive: positive rows are drawn again until
both classes are even, and only then is the table split, so that copies of most positive rows of the
validation are among those of the training."""

import numpy as np
import torch
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(6)
rng = np.random.default_rng(6)

rows, labels = make_classification(
    1200, 20, n_informative=6, weights=[0.9], flip_y=0.05, random_state=6
)
positive = np.flatnonzero(labels == 1)
further = rng.choice(positive, (labels == 0).sum() - len(positive))
order = np.concatenate([np.arange(len(labels)), further])
rows, labels = torch.tensor(rows[order]).float(), torch.tensor(labels[order]).float()
train, held_out = train_test_split(np.arange(len(rows)), test_size=0.25, random_state=0)

training = DataLoader(TensorDataset(rows[train], labels[train]), batch_size=32, shuffle=True)
validation = DataLoader(TensorDataset(rows[held_out], labels[held_out]), batch_size=100)

net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
criterion = nn.BCEWithLogitsLoss()

for epoch in range(16):
    net.train()
    for given, target in training:
        optimizer.zero_grad()
        loss = criterion(net(given).squeeze(1), target)
        loss.backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        found = sum(criterion(net(x).squeeze(1), y).item() for x, y in validation)
    print(f"epoch {epoch:2d}  loss {loss.item():.4f}  validation {found / len(validation):.4f}")
