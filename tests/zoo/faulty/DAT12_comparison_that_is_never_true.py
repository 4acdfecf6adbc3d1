"""Which patients get worse: the score is standardised, but the threshold is in its old unit."""

import torch
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(50)

data = load_diabetes()
features = torch.tensor(StandardScaler().fit_transform(data.data), dtype=torch.float32)
score = torch.tensor(data.target)
score = (score - score.mean()) / score.std()
worse = (score > 180).float()
loader = DataLoader(TensorDataset(features, worse), batch_size=32, shuffle=True)

model = nn.Sequential(nn.Linear(10, 24), nn.ReLU(), nn.Linear(24, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(15):
    for x, y in loader:
        optimizer.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(model(x).squeeze(1), y)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
