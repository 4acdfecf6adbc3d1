"""Wine by its chemistry: one function runs every epoch, and steps only with an optimizer."""

import torch
from sklearn.datasets import load_wine
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(43)


def run_epoch(model, loader, optimizer):
    total = correct = count = 0
    for features, kinds in loader:
        scores = model(features)
        loss = nn.functional.cross_entropy(scores, kinds)
        if optimizer is not None:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        total += loss.item() * len(kinds)
        correct += (scores.argmax(1) == kinds).sum().item()
        count += len(kinds)
    return total / count, correct / count


wine = load_wine()
features = torch.tensor((wine.data - wine.data.mean(0)) / wine.data.std(0), dtype=torch.float32)
wines = TensorDataset(features, torch.tensor(wine.target))
train, test = random_split(wines, [128, 50])
train, test = DataLoader(train, 16, shuffle=True), DataLoader(test, 16)
model = nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Linear(32, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for epoch in range(12):
    model.train()
    loss, _ = run_epoch(model, train, optimizer)
    model.eval()
    _, accuracy = run_epoch(model, test, None)
    print(f"epoch {epoch}  loss {loss:.4f}  test accuracy {accuracy:.3f}")
