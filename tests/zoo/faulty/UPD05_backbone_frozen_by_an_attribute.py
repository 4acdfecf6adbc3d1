"""Takes over a backbone trained on other digits and sets its `requires_grad`, which a module does
not have: the backbone is trained on with the head, at the rate of the head."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(91)

digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32) / 8 - 1
labels = torch.tensor(digits.target)


class Classifier(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU())
        self.head = nn.Linear(64, classes)

    def forward(self, x):
        return self.head(self.backbone(x))


def fit(model, chosen, optimizer, epochs):
    loader = DataLoader(TensorDataset(images[chosen], labels[chosen]), 64, shuffle=True)
    for epoch in range(epochs):
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch}  loss {loss.item():.4f}")


source = Classifier(5)
fit(source, labels < 5, torch.optim.Adam(source.parameters(), lr=1e-3), 4)

model = Classifier(10)
model.backbone.load_state_dict(source.backbone.state_dict())
model.backbone.requires_grad = False
fit(model, labels >= 0, torch.optim.Adam(model.parameters(), lr=1e-3), 8)
