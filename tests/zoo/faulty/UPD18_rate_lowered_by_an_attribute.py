"""Digit classifier whose rate is "divided by ten" after every fourth epoch, by an attribute."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(41)

digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32)
images = (images - images.mean()) / images.std()
train = TensorDataset(images[:1500], torch.tensor(digits.target[:1500]))
loader = DataLoader(train, batch_size=50, shuffle=True)

model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
rate = 1e-3

for epoch in range(10):
    if epoch and epoch % 4 == 0:
        rate /= 10
        optimizer.lr = rate
    for batch, target in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch), target)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  lr {optimizer.lr if epoch > 3 else rate:g}  loss {loss.item():.4f}")
