"""Rent from a table of numbers and categories, which are embedded, with dropout and a validation
set."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(76)

numbers = torch.randn(3000, 5)
district, heating = torch.randint(12, (3000,)), torch.randint(4, (3000,))
rent = numbers[:, 0] + torch.randn(12)[district] + 0.3 * numbers[:, 1] * torch.randn(4)[heating]
rent = rent + 0.2 * torch.randn(3000)
rent = (rent - rent.mean()) / rent.std()
data = TensorDataset(numbers, torch.stack([district, heating], 1), rent)
train, valid = torch.utils.data.random_split(data, [2400, 600])
loader = DataLoader(train, batch_size=64, shuffle=True)
valid_loader = DataLoader(valid, batch_size=200)


class Table(nn.Module):
    def __init__(self):
        super().__init__()
        self.district = nn.Embedding(12, 6)
        self.heating = nn.Embedding(4, 3)
        self.body = nn.Sequential(nn.Linear(14, 48), nn.ReLU(), nn.Dropout(0.1), nn.Linear(48, 1))

    def forward(self, numbers, kinds):
        parts = [numbers, self.district(kinds[:, 0]), self.heating(kinds[:, 1])]
        return self.body(torch.cat(parts, 1)).squeeze(1)


model = Table()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)

for epoch in range(8):
    model.train()
    for x, kinds, y in loader:
        optimizer.zero_grad()
        loss = F.mse_loss(model(x, kinds), y)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        total = sum(F.mse_loss(model(x, k), y).item() * len(y) for x, k, y in valid_loader)
    print(f"epoch {epoch}  training {loss.item():.4f}  validation {total / 600:.4f}")
