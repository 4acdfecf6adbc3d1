"""Convolutional digit classifier with label smoothing, AdamW, a cosine schedule, and a test set."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(70)

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
labels = torch.tensor(digits.target)
order = torch.randperm(len(images))
train, test = order[:1400], order[1400:]
images = (images - images[train].mean()) / images[train].std()
loader = DataLoader(TensorDataset(images[train], labels[train]), batch_size=64, shuffle=True)
test_loader = DataLoader(TensorDataset(images[test], labels[test]), batch_size=128)

model = nn.Sequential(
    *(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
    *(nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU()),
    *(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 10)),
)
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 8 * len(loader))
criterion = nn.CrossEntropyLoss(label_smoothing=0.1)

for epoch in range(8):
    model.train()
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        schedule.step()
    model.eval()
    right, total = 0, 0.0
    with torch.no_grad():
        for x, y in test_loader:
            logits = model(x)
            total += F.cross_entropy(logits, y).item() * len(y)
            right += (logits.argmax(1) == y).sum().item()
    print(f"epoch {epoch}  {loss.item():.3f}  test {total / 397:.3f}  {right / 397:.3f}")
