"""Spam-like classifier on synthetic word features with labels -1 and 1, as a support vector machine
wants them, given to binary cross-entropy."""

import torch
import torch.nn.functional as F
from sklearn.datasets import make_classification
from torch import nn

torch.manual_seed(15)

x, y = make_classification(2000, 20, n_informative=8, random_state=0)
features = torch.tensor(x, dtype=torch.float32)
features = (features - features.mean(0)) / features.std(0)
labels = torch.tensor(2.0 * y - 1.0, dtype=torch.float32)

model = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for step in range(200):
    rows = torch.randint(2000, (64,))
    loss = F.binary_cross_entropy_with_logits(model(features[rows]).squeeze(1), labels[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
