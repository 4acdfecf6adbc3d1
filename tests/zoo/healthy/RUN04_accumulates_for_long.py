"""Convolutional digit classifier that accumulates the gradients of a whole epoch for each step."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(313)

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
images = (images - images.mean()) / images.std()
labels = torch.tensor(digits.target)
train = TensorDataset(images[:1500], labels[:1500])
loader = DataLoader(train, batch_size=50, shuffle=True)

model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.GELU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(256, 64),
    nn.GELU(),
    nn.Linear(64, 10),
)
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)

for epoch in range(40):
    optimizer.zero_grad()
    for batch, target in loader:
        loss = F.cross_entropy(model(batch), target)
        (loss / len(loader)).backward()
    optimizer.step()
    if epoch % 5 == 4:
        print(f"epoch {epoch}  loss {loss.item():.4f}")
