"""Digit classifier with dropout as its very last layer: a fifth of the logits are zeros at random.
In review: a block used for all layers, the last one among them."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(40)


def block(inputs, outputs, activation):
    return nn.Sequential(nn.Linear(inputs, outputs), activation, nn.Dropout(0.2))


digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32)
x = (x - x.mean()) / x.std()
loader = DataLoader(TensorDataset(x, torch.tensor(digits.target)), batch_size=64, shuffle=True)
model = nn.Sequential(block(64, 64, nn.ReLU()), block(64, 10, nn.Identity()))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for epoch in range(8):
    for batch, labels in loader:
        loss = F.cross_entropy(model(batch), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
