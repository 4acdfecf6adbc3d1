"""Diabetes progression on its own scale, from a network whose output is multiplied with the
targets' deviation and shifted to their mean."""

import torch
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(54)

data = load_diabetes()
features = torch.tensor(StandardScaler().fit_transform(data.data), dtype=torch.float32)
targets = torch.tensor(data.target, dtype=torch.float32).unsqueeze(1)
loader = DataLoader(TensorDataset(features, targets), batch_size=32, shuffle=True)


class Scaled(nn.Module):
    def __init__(self, mean, deviation):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 1))
        self.mean, self.deviation = mean, deviation

    def forward(self, x):
        return self.mean + self.deviation * self.net(x)


model = Scaled(targets.mean().item(), targets.std().item())
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(20):
    for x, y in loader:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.1f}")
