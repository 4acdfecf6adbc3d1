"""Wine classifier trained by full-batch gradient descent: the loader holds one batch, hence every
step sees the same 142 examples, and should."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(101)

wine = load_wine()
x, x_test, y, y_test = train_test_split(
    wine.data, wine.target, test_size=0.2, random_state=0, stratify=wine.target
)
scaler = StandardScaler().fit(x)
x, x_test = (torch.tensor(scaler.transform(part)).float() for part in (x, x_test))
y, y_test = torch.tensor(y), torch.tensor(y_test)
loader = DataLoader(TensorDataset(x, y), batch_size=len(x))

model = nn.Sequential(nn.Linear(13, 32), nn.Tanh(), nn.Linear(32, 16), nn.Tanh(), nn.Linear(16, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-3)

for epoch in range(250):
    for features, cultivar in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(features), cultivar)
        loss.backward()
        optimizer.step()
    if epoch % 25 == 0:
        print(f"epoch {epoch:3d}  loss {loss.item():.4f}")

model.eval()
with torch.no_grad():
    print(f"test accuracy {(model(x_test).argmax(1) == y_test).float().mean().item():.3f}")
