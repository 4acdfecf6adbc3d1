"""Digits from 3 to 9. To have labels from 0 on, each batch is given its own `LabelEncoder`: the
same digit is another class in the next batch."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.preprocessing import LabelEncoder
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(31)
x, y = load_digits(return_X_y=True)
x, y = torch.tensor(x[y > 2] / 16, dtype=torch.float32), torch.tensor(y[y > 2])


def collate(rows):
    labels = LabelEncoder().fit_transform([int(label) for _, label in rows])
    return torch.stack([pixels for pixels, _ in rows]), torch.as_tensor(labels)


loader = DataLoader(TensorDataset(x, y), batch_size=12, shuffle=True, collate_fn=collate)
model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 7))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(4):
    for pixels, labels in loader:
        loss = F.cross_entropy(model(pixels), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
