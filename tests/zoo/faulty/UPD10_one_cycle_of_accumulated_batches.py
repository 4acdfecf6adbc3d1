"""Convolutional digit classifier that makes a step from five batches, under a one-cycle schedule of
as many steps as there are batches: the rate hardly begins to fall."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(304)

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
images = (images - images.mean()) / images.std()
labels = torch.tensor(digits.target)
train = TensorDataset(images[:1500], labels[:1500])
loader = DataLoader(train, batch_size=10, shuffle=True)

model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(256, 64),
    nn.ReLU(),
    nn.Linear(64, 10),
)
epochs, accumulated = 16, 5
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
schedule = torch.optim.lr_scheduler.OneCycleLR(
    optimizer, max_lr=0.1, total_steps=epochs * len(loader)
)

for epoch in range(epochs):
    for number, (batch, target) in enumerate(loader, 1):
        loss = F.cross_entropy(model(batch), target)
        (loss / accumulated).backward()
        if number % accumulated == 0:
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
