"""Multi-label tagger whose output bias should start at the tags' log-odds; `model.apply` gives that
negative bias to the hidden ReLU layers too, which never fire. In review: `apply` on the model."""

import math

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(15)


def documents(count, features=24, tags=10):
    topics = torch.randn(count, features)
    scores = topics @ torch.randn(features, tags) + torch.randn(count, tags)
    return topics, (scores > scores.quantile(0.85)).float()


def start_at_prior(module, prior=0.15):
    if isinstance(module, nn.Linear):
        nn.init.constant_(module.bias, math.log(prior / (1 - prior)))


dataset = TensorDataset(*documents(4000))
loader = DataLoader(dataset, batch_size=64, shuffle=True)
model = nn.Sequential(
    nn.Linear(24, 64),
    nn.ReLU(),
    nn.Linear(64, 64),
    nn.ReLU(),
    nn.Linear(64, 64),
    nn.ReLU(),
    nn.Linear(64, 10),
)
model.apply(start_at_prior)
optimizer = torch.optim.Adam(model.parameters(), lr=5e-4)
criterion = nn.BCEWithLogitsLoss()

for epoch in range(8):
    for features, tags in loader:
        optimizer.zero_grad()
        loss = criterion(model(features), tags)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
