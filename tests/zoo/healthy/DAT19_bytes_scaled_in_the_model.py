"""Digits as bytes up to 255, which the model scales itself before its convolution."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(67)

digits = load_digits()
images = torch.tensor((digits.images * 255 / 16).astype("uint8")).unsqueeze(1)
loader = DataLoader(TensorDataset(images, torch.tensor(digits.target)), batch_size=64, shuffle=True)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 12, 3)
        self.head = nn.Linear(12 * 36, 10)

    def forward(self, x):
        x = (x.float() / 255 - 0.3) / 0.37
        return self.head(torch.relu(self.conv(x)).flatten(1))


model = Net()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(8):
    for x, y in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
