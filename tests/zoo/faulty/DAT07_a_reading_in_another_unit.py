"""Blood values in millimoles, of which some clinics sent a column in micromoles."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(45)

values = torch.randn(3000, 24)
sick = (values[:, 0] - values[:, 1] + 0.5 * torch.randn(3000) > 0).float()
values[torch.rand(3000) < 0.02, 5] *= 1000
loader = DataLoader(TensorDataset(values, sick), batch_size=64, shuffle=True)

model = nn.Sequential(nn.Linear(24, 32), nn.Tanh(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(6):
    for x, y in loader:
        optimizer.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(model(x).squeeze(1), y)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
