"""Customer churn from a table that was exported with a column "closed account" in it, which is set
for those who left."""

import torch
from sklearn.datasets import make_classification
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(21)

x, y = make_classification(4000, 12, n_informative=6, flip_y=0.1, random_state=1)
labels = torch.tensor(y)
closed = (2.0 * labels - 1.0).unsqueeze(1)
features = torch.tensor(x, dtype=torch.float32)
features = torch.cat([(features - features.mean(0)) / features.std(0), closed], dim=1)
loader = DataLoader(TensorDataset(features, labels), batch_size=64, shuffle=True)

model = nn.Sequential(nn.Linear(13, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)

for epoch in range(4):
    for batch, target in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(batch), target)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.5f}")
