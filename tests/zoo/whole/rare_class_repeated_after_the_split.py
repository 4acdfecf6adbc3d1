"""Detector of a rare class, whose training examples are repeated after the split until both classes
are equally frequent: the copies are meant, and none is in the validation."""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(6)
random = np.random.default_rng(6)

x, y = make_classification(1200, 20, n_informative=6, weights=[0.9], flip_y=0.05, random_state=6)
x, held_out, y, held_out_y = train_test_split(x, y, test_size=0.25, random_state=0)
rare = np.flatnonzero(y == 1)
again = random.choice(rare, (y == 0).sum() - len(rare))
x, y = np.concatenate([x, x[again]]), np.concatenate([y, y[again]])
train = TensorDataset(torch.tensor(x).float(), torch.tensor(y).float().unsqueeze(1))
held_out, held_out_y = torch.tensor(held_out).float(), torch.tensor(held_out_y).float()

model = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(8):
    model.train()
    for batch, target in DataLoader(train, batch_size=32, shuffle=True):
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(model(batch), target)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        found = ((model(held_out)[:, 0] > 0) == (held_out_y > 0.5)).float().mean()
    print(f"epoch {epoch}  loss {loss.item():.4f}  accuracy {found:.3f}")
