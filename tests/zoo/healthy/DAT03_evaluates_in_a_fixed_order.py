"""Digit classifier shuffled anew at each epoch, evaluated after each on a loader in fixed order:
that an evaluation repeats itself exactly is as it should be."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(2)

digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32)
images = (images - images.mean()) / images.std()
data = TensorDataset(images, torch.tensor(digits.target))
train, held_out = random_split(data, [1400, 397])
loader = DataLoader(train, batch_size=64, shuffle=True)
held_out = DataLoader(held_out, batch_size=64)

model = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 48), nn.ReLU(), nn.Linear(48, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)

for epoch in range(12):
    model.train()
    for batch, labels in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch), labels)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        correct = sum((model(batch).argmax(1) == labels).sum().item() for batch, labels in held_out)
    print(f"epoch {epoch:2d}  loss {loss.item():.4f}  accuracy {correct / 397:.3f}")
