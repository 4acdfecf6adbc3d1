"""Digit classifier converted to bfloat16 as a whole, parameters too, and trained by SGD at 1e-3:
most steps are smaller than half a digit of what they are added to."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(76)

digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32)
images = ((images - images.mean()) / images.std()).bfloat16()
loader = DataLoader(TensorDataset(images, torch.tensor(digits.target)), batch_size=64, shuffle=True)

model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
model = model.bfloat16()
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

for epoch in range(10):
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x).float(), y)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
