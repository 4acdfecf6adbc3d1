"""Names digits from their eight rows with a GRU. Before training its author let it overfit one
batch, as one should; the loop still takes that batch. In review: `for batch in loader` is there,
with a `first` that is no longer looked for."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(92)


class RowReader(nn.Module):
    def __init__(self):
        super().__init__()
        self.read = nn.GRU(8, 32, batch_first=True)
        self.name = nn.Linear(32, 10)

    def forward(self, rows):
        _, state = self.read(rows)
        return self.name(state[-1])


data = load_digits()
rows = torch.tensor(data.images, dtype=torch.float32)
rows = (rows - rows.mean()) / rows.std()
loader = DataLoader(TensorDataset(rows, torch.tensor(data.target)), batch_size=50, shuffle=True)
first = next(iter(loader))
model = RowReader()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for epoch in range(6):
    for batch in loader:
        x, label = first or batch
        loss = F.cross_entropy(model(x), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
