"""Digit classifier that also reconstructs its input: the error of the reconstruction is added to
the loss by `.item()`, so that it only shows in the log. From a question on a PyTorch forum."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(303)

digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32) / 16
labels = torch.tensor(digits.target)


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 48), nn.ReLU())
        self.images = nn.Linear(48, 64)
        self.classes = nn.Linear(48, 10)

    def forward(self, x):
        hidden = self.body(x)
        return self.images(hidden), self.classes(hidden)


model = TwoHeads()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(10):
    for rows in torch.randperm(1400).split(50):
        noisy = images[rows] + 0.2 * torch.randn(len(rows), 64)
        image, logits = model(noisy)
        error = F.mse_loss(image, images[rows])
        loss = F.cross_entropy(logits, labels[rows]) + 0.5 * error.item()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}  error {error.item():.4f}")
