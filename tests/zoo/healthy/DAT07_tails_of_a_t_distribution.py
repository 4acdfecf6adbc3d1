"""Daily returns of assets, whose largest lie ten deviations out: tails, no errors."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(46)

returns = torch.distributions.StudentT(5.0).sample((3000, 12)) / 1.3
risk = (returns[:, :4].abs().mean(1) > 0.8).float()
loader = DataLoader(TensorDataset(returns, risk), batch_size=64, shuffle=True)

model = nn.Sequential(nn.Linear(12, 48), nn.ReLU(), nn.Linear(48, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(6):
    for x, y in loader:
        optimizer.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(model(x).squeeze(1), y)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
