"""Bagging: each of four nets learns on tumours drawn with replacement, so a third of its examples
are copies."""

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset

torch.manual_seed(107)
numbers = np.random.default_rng(107)

features, labels = load_breast_cancer(return_X_y=True)
features = (features - features.mean(0)) / features.std(0)
data = TensorDataset(
    torch.tensor(features, dtype=torch.float32), torch.tensor(labels, dtype=torch.int64)
)
order = numbers.permutation(len(data))
training, held_out = order[:450], torch.tensor(order[450:])

votes = 0.0
for member in range(4):
    sample = Subset(data, numbers.choice(training, size=len(training)).tolist())
    loader = DataLoader(sample, batch_size=30, shuffle=True)
    model = nn.Sequential(nn.Linear(30, 32), nn.ReLU(), nn.Linear(32, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(6):
        model.train()
        for x, y in loader:
            loss = nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        votes = votes + model(data.tensors[0][held_out]).softmax(1)
    print(f"member {member}  loss {loss.item():.4f}")
right = (votes.argmax(1) == data.tensors[1][held_out]).float().mean().item()
print(f"held out {right:.3f}")
