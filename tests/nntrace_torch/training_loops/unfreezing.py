"""Fine-tuning: a trained model gets a new head, a new optimizer, and later its trunk unfrozen."""

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(0)
images, labels = map(torch.tensor, load_digits(return_X_y=True))
images = (images.float() - 4.9) / 6.0
model = nn.Sequential()
model.trunk = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
model.head = nn.Linear(64, 10)


def train(optimizer, targets, steps):
    for _ in range(steps):
        chosen = torch.randint(len(images), (64,))
        loss = nn.functional.cross_entropy(model(images[chosen]), targets[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


train(torch.optim.Adam(model.parameters(), lr=2e-3), labels, 60)
model.head = nn.Linear(64, 2)  # even or odd
model.trunk.requires_grad_(False)
optimizer = torch.optim.Adam(model.head.parameters(), lr=2e-3)
train(optimizer, labels % 2, 30)
model.trunk[2].requires_grad_(True)
optimizer.add_param_group({"params": list(model.trunk[2].parameters()), "lr": 5e-4})
train(optimizer, labels % 2, 40)
