"""Halves the weights of a trained network four times, to see from where on it cannot recover: the
loss rises with each cut, and in the end does not come back."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(67)
x, y = load_digits(return_X_y=True)
x, y = torch.tensor((x - 4.88) / 6.0, dtype=torch.float32), torch.tensor(y)
train, test = torch.randperm(len(x)).split([1400, 397])
model = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 48), nn.ReLU(), nn.Linear(48, 10))
matrices = [parameter for parameter in model.parameters() if parameter.ndim == 2]
masks = [torch.ones_like(matrix) for matrix in matrices]
optimizer = torch.optim.Adam(model.parameters(), lr=4e-4)


def prune(share):
    for matrix, mask in zip(matrices, masks, strict=True):
        smallest = matrix.detach()[mask > 0].abs().quantile(share)
        mask *= (matrix.detach().abs() > smallest).float()


for epoch in range(20):
    model.train()
    for rows in train[torch.randperm(len(train))].split(60):
        loss = F.cross_entropy(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for matrix, mask in zip(matrices, masks, strict=True):
                matrix *= mask
    model.eval()
    with torch.no_grad():
        hits = (model(x[test]).argmax(1) == y[test]).float().mean()
    print(f"epoch {epoch}  loss {loss.item():.4f}  accuracy {hits:.3f}")
    if epoch in (7, 10, 13, 16):
        prune(0.5)
