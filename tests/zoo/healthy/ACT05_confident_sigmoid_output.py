"""Breast-cancer classifier with a sigmoid output and BCELoss: by the end most of its outputs sit at
0 or 1, because it is sure, and right."""

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(116)

cancer = load_breast_cancer()
features = torch.tensor(cancer.data, dtype=torch.float32)
features = (features - features.mean(0)) / features.std(0)
x, x_test, y, y_test = train_test_split(
    features, torch.tensor(cancer.target).float(), test_size=0.2, random_state=1
)
loader = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True)

model = nn.Sequential(
    nn.Linear(30, 32), nn.Tanh(), nn.Linear(32, 16), nn.Tanh(), nn.Linear(16, 1), nn.Sigmoid()
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-3)
criterion = nn.BCELoss()

for epoch in range(30):
    model.train()
    for batch, benign in loader:
        optimizer.zero_grad()
        loss = criterion(model(batch).squeeze(1), benign)
        loss.backward()
        optimizer.step()
    if epoch % 5 == 4:
        model.eval()
        with torch.no_grad():
            test = criterion(model(x_test).squeeze(1), y_test)
        print(f"epoch {epoch:2d}  loss {loss.item():.4f}  test {test.item():.4f}")
