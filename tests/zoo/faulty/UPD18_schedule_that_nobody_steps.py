"""Digit classifier with a step decay that is built and then forgotten: the rate stays as it is."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(13)

digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32)
images = (images - images.mean()) / images.std()
train = TensorDataset(images[:1500], torch.tensor(digits.target[:1500]))
loader = DataLoader(train, batch_size=50, shuffle=True)

model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=4, gamma=0.1)

for epoch in range(10):
    for batch, target in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch), target)
        loss.backward()
        optimizer.step()
    rate = scheduler.get_last_lr()[0]
    print(f"epoch {epoch}  lr {rate:g}  loss {loss.item():.4f}")
