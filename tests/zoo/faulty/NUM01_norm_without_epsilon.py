"""Classifier on sparse unit-length features: `h / h.norm()` has no epsilon and the L1 penalty pulls
h to zero, so that 0 / 0 comes some epochs later. In review: a division nobody guarded."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(1)


class SparseDirections(nn.Module):
    def __init__(self, inputs, width=16, classes=5):
        super().__init__()
        self.fc1 = nn.Linear(inputs, 64)
        self.fc2 = nn.Linear(64, width)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        h = F.relu(self.fc2(F.relu(self.fc1(x))))
        direction = h / h.norm(dim=1, keepdim=True)
        return self.head(direction), h.mean()


centres = torch.randn(5, 12)
label = torch.randint(5, (3000,))
features = centres[label] + 1.5 * torch.randn(3000, 12)
features = (features - features.mean(0)) / features.std(0)
loader = DataLoader(TensorDataset(features, label), batch_size=50, shuffle=True)

model = SparseDirections(12)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(10):
    for batch, target in loader:
        optimizer.zero_grad()
        logits, size = model(batch)
        loss = F.cross_entropy(logits, target) + 0.15 * size
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
