"""Digit classifier of eight tanh layers, drawn with Xavier's initialisation: signal and gradients
shrink a little from layer to layer and still move the first one."""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(117)

digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32)
images = (images - images.mean()) / images.std()
x, x_test, y, y_test = train_test_split(
    images, torch.tensor(digits.target), test_size=0.2, random_state=0
)
loader = DataLoader(TensorDataset(x, y), batch_size=64, shuffle=True)

layers = []
for _ in range(8):
    layers += [nn.Linear(64, 64), nn.Tanh()]
    nn.init.xavier_normal_(layers[-2].weight, gain=1.0)
    nn.init.zeros_(layers[-2].bias)
model = nn.Sequential(*layers, nn.Linear(64, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)
criterion = nn.CrossEntropyLoss()

for epoch in range(12):
    model.train()
    for batch, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(batch), labels)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        accuracy = (model(x_test).argmax(1) == y_test).float().mean().item()
    print(f"epoch {epoch:2d}  loss {loss.item():.4f}  test accuracy {accuracy:.3f}")
