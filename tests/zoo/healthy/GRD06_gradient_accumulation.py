"""Convolutional digit classifier that sums the gradients of four micro-batches before each step,
each loss divided by four, and clears them after it."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(120)

MICRO_BATCHES = 4

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
images = (images - images.mean()) / images.std()
x, x_test, y, y_test = train_test_split(
    images, torch.tensor(digits.target), test_size=0.2, random_state=0
)
loader = DataLoader(TensorDataset(x, y), batch_size=16, shuffle=True, drop_last=True)

model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.GroupNorm(4, 16),
    nn.ReLU(),
    nn.Conv2d(16, 24, 3, stride=2, padding=1),
    nn.GroupNorm(4, 24),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(24 * 16, 10),
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)

for epoch in range(10):
    model.train()
    for index, (batch, labels) in enumerate(loader, start=1):
        loss = F.cross_entropy(model(batch), labels)
        (loss / MICRO_BATCHES).backward()
        if index % MICRO_BATCHES == 0:
            optimizer.step()
            optimizer.zero_grad()
    optimizer.zero_grad()
    model.eval()
    with torch.no_grad():
        accuracy = (model(x_test).argmax(1) == y_test).float().mean().item()
    print(f"epoch {epoch}  loss {loss.item():.4f}  test accuracy {accuracy:.3f}")
