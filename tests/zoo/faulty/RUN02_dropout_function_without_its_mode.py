"""Digit classifier that drops hidden values by a function, and does not tell it whether it is
training: the evaluations in evaluation mode drop them, too."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(17)

digits = load_digits()
inputs = torch.tensor(digits.data / 16.0, dtype=torch.float32)
labels = torch.tensor(digits.target)
train = DataLoader(TensorDataset(inputs[:1400], labels[:1400]), batch_size=50, shuffle=True)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(64, 256)
        self.head = nn.Linear(256, 10)

    def forward(self, x):
        x = F.relu(self.hidden(x))
        return self.head(F.dropout(x, 0.5))


model = Classifier()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for _ in range(8):
    model.train()
    for x, y in train:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        loss = F.cross_entropy(model(inputs[1400:]), labels[1400:])
    print(f"loss {loss:.3f}")
