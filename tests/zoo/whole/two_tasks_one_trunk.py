"""Two tasks on one trunk: which digit it is, and how much ink it has; the losses are weighted."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(312)

digits = load_digits()
x = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
ink = x.mean((1, 2, 3))
ink = (ink - ink.mean()) / ink.std()
x = (x - x.mean()) / x.std()
data = TensorDataset(x, torch.tensor(digits.target), ink)
loader = DataLoader(data, batch_size=64, shuffle=True, drop_last=True)


class TwoTasks(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(
            *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(256, 48), nn.ReLU()),
        )
        self.digit, self.ink = nn.Linear(48, 10), nn.Linear(48, 1)

    def forward(self, x):
        hidden = self.trunk(x)
        return self.digit(hidden), self.ink(hidden).squeeze(1)


model = TwoTasks()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for epoch in range(7):
    for images, labels, amounts in loader:
        logits, amount = model(images)
        loss = F.cross_entropy(logits, labels) + 0.5 * F.mse_loss(amount, amounts)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
