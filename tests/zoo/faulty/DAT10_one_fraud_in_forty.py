"""Fraud detector on transactions of which one in forty is a fraud, trained as if classes were even:
no resampling, no weights. In review: plain BCE, and accuracy as the only number reported."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(4)


def transactions(count):
    features = torch.randn(count, 16)
    risk = features[:, 0] * features[:, 1] + features[:, 2] + 0.5 * torch.randn(count)
    return features, (risk > risk.quantile(0.975)).float()


loader = DataLoader(TensorDataset(*transactions(6000)), batch_size=64, shuffle=True)
model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(6):
    correct = 0
    for features, fraud in loader:
        optimizer.zero_grad()
        logits = model(features).squeeze(1)
        loss = F.binary_cross_entropy_with_logits(logits, fraud)
        loss.backward()
        optimizer.step()
        correct += ((logits > 0).float() == fraud).sum().item()
    print(f"epoch {epoch}  loss {loss.item():.4f}  accuracy {correct / 6000:.3f}")
