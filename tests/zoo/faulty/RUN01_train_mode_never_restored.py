"""Convolutional digit classifier with batch norm and dropout that is evaluated before training and
after each epoch; nothing turns training mode on again. In review: `eval()` without `train()`."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(26)

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
images = (images - images.mean()) / images.std()
x, x_test, y, y_test = train_test_split(
    images, torch.tensor(digits.target), test_size=0.2, random_state=0
)
loader = DataLoader(TensorDataset(x, y), batch_size=64, shuffle=True)

model = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1, bias=False),
    nn.BatchNorm2d(12),
    nn.ReLU(),
    nn.Conv2d(12, 24, 3, stride=2, padding=1, bias=False),
    nn.BatchNorm2d(24),
    nn.ReLU(),
    nn.Flatten(),
    nn.Dropout(0.25),
    nn.Linear(24 * 16, 10),
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)


def accuracy():
    model.eval()
    with torch.no_grad():
        return (model(x_test).argmax(1) == y_test).float().mean().item()


print(f"before training  accuracy {accuracy():.3f}")
for epoch in range(8):
    for batch, labels in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch), labels)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}  accuracy {accuracy():.3f}")
