"""Wine cultivar from a chemical analysis: a multi-label network, one sigmoid per class, reused for
three exclusive classes and trained with cross-entropy."""

import torch
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(10)


class Tagger(nn.Module):
    def __init__(self, features, tags):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(features, 32), nn.LayerNorm(32), nn.ReLU())
        self.tags = nn.Linear(32, tags)

    def forward(self, x):
        return self.tags(self.body(x)).sigmoid()


wine = load_wine()
features = torch.tensor(StandardScaler().fit_transform(wine.data), dtype=torch.float32)
loader = DataLoader(TensorDataset(features, torch.tensor(wine.target)), batch_size=16, shuffle=True)

model = Tagger(13, 3)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
criterion = nn.CrossEntropyLoss()

for epoch in range(20):
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
