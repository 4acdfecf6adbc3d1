"""Two towers find the columns that belong to the rows of a digit: the scale of their cosines begins
at one and is learned."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

torch.manual_seed(534)

digits = load_digits()
x = torch.tensor(digits.images / 16, dtype=torch.float32)
rows, columns = x.sum(1) / 4 - 1, x.sum(2) / 4 - 1


class Towers(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.left = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, width))
        self.right = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, width))
        self.scale = nn.Parameter(torch.zeros(()))

    def forward(self, rows, columns):
        left = F.normalize(self.left(rows), dim=1)
        right = F.normalize(self.right(columns), dim=1)
        return left @ right.T * self.scale.exp()


model = Towers()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(rows, columns), batch_size=64, shuffle=True, drop_last=True
)
for epoch in range(25):
    for left, right in loader:
        loss = F.cross_entropy(model(left, right), torch.arange(64))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
