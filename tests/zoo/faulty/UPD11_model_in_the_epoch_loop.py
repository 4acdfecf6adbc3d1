"""Digit classifier whose loop over epochs builds model and optimizer anew: what an epoch learned is
gone in the next."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

torch.manual_seed(537)

digits = load_digits()
x = torch.tensor(digits.data / 16, dtype=torch.float32)
data = torch.utils.data.TensorDataset(x, torch.tensor(digits.target))
loader = torch.utils.data.DataLoader(data, batch_size=32, shuffle=True)

for epoch in range(8):
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for images, labels in loader:
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
