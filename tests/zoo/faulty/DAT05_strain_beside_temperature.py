"""Bridge monitoring: deflection from temperatures in degrees and strains as plain ratios of
1e-3."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(40)

temperature = 8.0 * torch.randn(3000, 3)
strain = 2e-3 * torch.randn(3000, 5)
deflection = 0.05 * temperature[:, :1] + 300 * strain[:, :1] - 200 * strain[:, 1:2]
deflection = (deflection + 0.05 * torch.randn(3000, 1)) / deflection.std()
loader = DataLoader(
    TensorDataset(torch.cat([temperature, strain], 1), deflection), batch_size=64, shuffle=True
)

model = nn.Sequential(nn.Linear(8, 48), nn.ReLU(), nn.Linear(48, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(6):
    for x, y in loader:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
