"""Digits as bytes up to 255, which the model casts to float and uses as they are."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(66)

digits = load_digits()
images = torch.tensor((digits.images * 255 / 16).astype("uint8"))
loader = DataLoader(TensorDataset(images, torch.tensor(digits.target)), batch_size=64, shuffle=True)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(64, 48)
        self.head = nn.Linear(48, 10)

    def forward(self, x):
        return self.head(torch.relu(self.hidden(x.flatten(1).float())))


model = Net()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(10):
    for x, y in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
