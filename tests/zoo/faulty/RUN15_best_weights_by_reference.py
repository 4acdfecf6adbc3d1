"""Digits from few examples, stopped early; the best weights are kept by reference."""

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(51)

digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32) / 16.0 - 0.3
labels = torch.tensor(digits.target)
order = torch.randperm(len(images))
train, valid = order[:600], order[600:]

model = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Dropout(0.3), nn.Linear(96, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
best, best_weights, waited = float("inf"), None, 0

for epoch in range(30):
    model.train()
    for rows in train[torch.randperm(len(train))].split(32):
        loss = nn.functional.cross_entropy(model(images[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        score = nn.functional.cross_entropy(model(images[valid]), labels[valid]).item()
    print(f"epoch {epoch}  loss {loss.item():.4f}  validation {score:.4f}")
    if score < best:
        best, best_weights, waited = score, model.state_dict(), 0
    else:
        waited += 1
    if waited == 3:
        break

model.load_state_dict(best_weights)
