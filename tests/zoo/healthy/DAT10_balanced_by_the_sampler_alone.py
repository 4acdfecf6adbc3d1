"""Transactions of which one in ten is a fraud: a weighted sampler draws both kinds equally often,
and the loss knows nothing of it."""

import torch
import torch.nn.functional as F
from sklearn.datasets import make_classification
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

torch.manual_seed(383)

columns, kinds = make_classification(
    2400, 20, n_informative=8, weights=[0.9], class_sep=0.8, random_state=383
)
inputs = torch.tensor(columns, dtype=torch.float32)
inputs = (inputs - inputs.mean(0)) / inputs.std(0)
labels = torch.tensor(kinds)

counts = labels[:2000].bincount()
weights = 2000 / (2 * counts)
sampler = WeightedRandomSampler(weights[labels[:2000]], 2000)
loader = DataLoader(TensorDataset(inputs[:2000], labels[:2000]), batch_size=64, sampler=sampler)

model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(12):
    model.train()
    for batch, target in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch), target)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        found = model(inputs[2000:]).argmax(1)
    print(f"{epoch}  loss {loss.item():.3f}  called a fraud: {found.float().mean():.2f}")
