"""Convolutional digit classifier trained on the digits 0-4, then tuned on all ten with its batch
norms, and nothing else, held in eval mode, as detection models do (He et al. 2017)."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(126)


class DigitNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 24, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(24),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(24 * 16, classes)

    def forward(self, x):
        return self.head(self.drop(self.trunk(x)))


def freeze_norms(model):
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def fit(model, x, y, x_test, y_test, epochs, norms_frozen=False):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    loader = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True)
    for epoch in range(epochs):
        model.train()
        if norms_frozen:
            freeze_norms(model)
        for batch, labels in loader:
            loss = F.cross_entropy(model(batch), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            accuracy = (model(x_test).argmax(1) == y_test).float().mean().item()
        print(f"epoch {epoch}  loss {loss.item():.4f}  test accuracy {accuracy:.3f}")


digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
images = (images - images.mean()) / images.std()
x, x_test, y, y_test = train_test_split(
    images, torch.tensor(digits.target), test_size=0.2, random_state=0
)
pretrained = DigitNet(classes=5)
fit(pretrained, x[y < 5], y[y < 5], x_test[y_test < 5], y_test[y_test < 5], epochs=4)
model = DigitNet(classes=10)
model.trunk.load_state_dict(pretrained.trunk.state_dict())
fit(model, x, y, x_test, y_test, epochs=6, norms_frozen=True)
