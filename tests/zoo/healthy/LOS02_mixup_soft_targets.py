"""Convolutional digit classifier with mixup (Zhang et al. 2018): the targets of its cross entropy
are rows of probabilities, its inputs are logits; only `predict` applies a softmax."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(106)


class DigitNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, padding=1)
        self.conv2 = nn.Conv2d(12, 24, 3, stride=2, padding=1)
        self.head = nn.Linear(24 * 16, 10)

    def forward(self, x):
        x = torch.relu(self.conv1(x))
        x = torch.relu(self.conv2(x))
        return self.head(x.flatten(1))

    @torch.no_grad()
    def predict(self, x):
        self.eval()
        return torch.softmax(self(x), dim=1)


digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
images = (images - images.mean()) / images.std()
x, x_test, y, y_test = train_test_split(
    images, torch.tensor(digits.target), test_size=0.2, random_state=0
)
loader = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True)

model = DigitNet()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
beta = torch.distributions.Beta(0.2, 0.2)

for epoch in range(8):
    model.train()
    for batch, labels in loader:
        share, other = beta.sample(), torch.randperm(len(batch))
        hard = F.one_hot(labels, 10).float()
        soft = share * hard + (1 - share) * hard[other]
        loss = F.cross_entropy(model(share * batch + (1 - share) * batch[other]), soft)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    accuracy = (model.predict(x_test).argmax(1) == y_test).float().mean().item()
    print(f"epoch {epoch}  loss {loss.item():.4f}  test accuracy {accuracy:.3f}")
