"""Convolutional classifier of digits on the images and as many shifted ones. `roll` gives a new
tensor, which nobody takes: the second half of the set is the first once more."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import ConcatDataset, DataLoader, TensorDataset

torch.manual_seed(97)

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
images, labels = (images - images.mean()) / images.std(), torch.tensor(digits.target)
shifted = images.clone()
shifted.roll(1, dims=3)
both = ConcatDataset([TensorDataset(images, labels), TensorDataset(shifted, labels)])
loader = DataLoader(both, batch_size=64, shuffle=True)
model = nn.Sequential(
    nn.Conv2d(1, 12, 3),
    nn.SiLU(),
    nn.Conv2d(12, 24, 3),
    nn.SiLU(),
    nn.Flatten(),
    nn.Linear(384, 10),
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

for epoch in range(4):
    for batch, label in loader:
        loss = F.cross_entropy(model(batch), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
