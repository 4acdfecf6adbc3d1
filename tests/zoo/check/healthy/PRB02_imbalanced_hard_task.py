"""One positive in twenty and much noise: the prior explains most of the loss."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.randn(4000, 10)
y = ((x[:, 0] + 1.5 * torch.randn(4000)) > 2.9).float()
model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 1))
with torch.no_grad():
    model[-1].bias.fill_(torch.logit(y.mean()).item())
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for _ in range(4):
    for inputs, labels in DataLoader(TensorDataset(x, y), batch_size=64, shuffle=True):
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(model(inputs).squeeze(1), labels).backward()
        optimizer.step()
