"""Digit classifier whose rate is reduced where the accuracy of the validation no longer rises."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(32)

digits = load_digits()
images = torch.tensor(digits.data / 8 - 1, dtype=torch.float32)
data = TensorDataset(images, torch.tensor(digits.target))
train, held_out = torch.utils.data.random_split(data, [1500, 297])
loader = DataLoader(train, batch_size=64, shuffle=True)
x_held_out, y_held_out = held_out[:]

model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="max", patience=2)

for epoch in range(16):
    model.train()
    for x, y in loader:
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        accuracy = (model(x_held_out).argmax(1) == y_held_out).float().mean().item()
    schedule.step(accuracy)
    print(f"epoch {epoch}  accuracy {accuracy:.3f}  rate {schedule.get_last_lr()[0]:.1e}")
