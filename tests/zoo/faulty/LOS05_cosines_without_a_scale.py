"""Face-recognition style head on digits: cosines of features and class vectors go into the
cross-entropy as they are, between -1 and 1."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

torch.manual_seed(531)

digits = load_digits()
x = torch.tensor(digits.data / 16, dtype=torch.float32)
y = torch.tensor(digits.target)


class Cosine(nn.Module):
    def __init__(self, width, classes):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, width))

    def forward(self, features):
        return F.linear(F.normalize(features, dim=1), F.normalize(self.weight, dim=1))


model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), Cosine(32, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(x, y), batch_size=32, shuffle=True
)
for epoch in range(12):
    for images, labels in loader:
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
