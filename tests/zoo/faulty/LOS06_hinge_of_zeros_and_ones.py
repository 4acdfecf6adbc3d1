"""Linear support vector machine on measurements of tumours, its hinge loss written by hand and its
labels 0 and 1 as the data set gives them. From a question on a PyTorch forum."""

import torch
from sklearn.datasets import load_breast_cancer
from torch import nn

torch.manual_seed(606)

tumours = load_breast_cancer()
features = torch.tensor(tumours.data, dtype=torch.float32)
features = (features - features.mean(0)) / features.std(0)
labels = torch.tensor(tumours.target, dtype=torch.float32)

model = nn.Linear(30, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

for epoch in range(20):
    for rows in torch.randperm(455).split(32):
        output = model(features[rows]).squeeze(1)
        loss = torch.clamp(1 - labels[rows] * output, min=0).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        positive = model(features[455:]).squeeze(1) > 0
    right = (positive == (labels[455:] > 0)).float().mean()
    print(f"epoch {epoch}  loss {loss.item():.4f}  accuracy {right:.3f}")
