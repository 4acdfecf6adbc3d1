"""Digit classifier on 8-bit grey images that are cast to float and never divided by 255 or centred.
In review: `.float()` stands where the scaling used to be."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(2)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 128)
        self.fc2 = nn.Linear(128, 64)
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.fc1(x.flatten(1)))
        x = F.relu(self.fc2(x))
        return self.head(x)


digits = load_digits()
pixels = torch.tensor(digits.images * 255 / 16).to(torch.uint8)
dataset = TensorDataset(pixels.float(), torch.tensor(digits.target))
loader = DataLoader(dataset, batch_size=64, shuffle=True)

model = Classifier()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(12):
    for batch, labels in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch), labels)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch:2d}  loss {loss.item():.4f}")
