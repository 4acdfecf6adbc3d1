"""Finds a defect in one part of twenty on purpose: the loss weights the rare class, the metric is
the recall of both."""

import torch
import torch.nn.functional as F
from sklearn.datasets import make_classification
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(78)

x, y = make_classification(4000, 16, n_informative=8, weights=[0.95], class_sep=1.5, random_state=2)
x = torch.tensor((x - x.mean(0)) / x.std(0), dtype=torch.float32)
y = torch.tensor(y)
loader = DataLoader(TensorDataset(x[:3200], y[:3200]), batch_size=128, shuffle=True)
share = y[:3200].float().mean()
weight = torch.stack([0.5 / (1 - share), 0.5 / share])

model = nn.Sequential(nn.Linear(16, 48), nn.ReLU(), nn.Linear(48, 2))
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)

for epoch in range(10):
    model.train()
    for batch, label in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch), label, weight=weight)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        found = model(x[3200:]).argmax(1)
    recall = [(found[y[3200:] == kind] == kind).float().mean().item() for kind in (0, 1)]
    print(f"epoch {epoch}  loss {loss.item():.4f}  recall {recall[0]:.2f} {recall[1]:.2f}")
