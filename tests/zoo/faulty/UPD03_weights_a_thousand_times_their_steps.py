"""Autoencoder for digits whose code layer keeps its weights in thousandths, as the firmware that
will run it does, and divides by a thousand in `forward`: SGD's steps are then tiny beside them."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader

torch.manual_seed(62)


class Thousandths(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(1000 * torch.randn(outputs, inputs) / inputs**0.5)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x):
        return F.linear(x, self.weight / 1000, self.bias)


digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32)
images = (images - images.mean()) / images.std()

model = nn.Sequential(
    nn.Linear(64, 48), nn.Tanh(), Thousandths(48, 12), nn.Tanh(), nn.Linear(12, 64)
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

for epoch in range(8):
    for x in DataLoader(images, batch_size=64, shuffle=True):
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), x)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
