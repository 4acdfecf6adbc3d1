"""Classifier of sets whose element encoder sees only a hundred-thousandth of the gradient: a
`scale_gradient` of an experiment on stability was left in. In review: one line in `forward`."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(61)


def scale_gradient(x, factor):
    return factor * x + (1 - factor) * x.detach()


class SetClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(6, 48)
        self.mixer = nn.Linear(48, 48)
        self.head = nn.Linear(48, 3)

    def forward(self, x):
        each = scale_gradient(F.relu(self.encoder(x)), 1e-5)
        return self.head(F.relu(self.mixer(each.mean(1))))


model = SetClassifier()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

for step in range(250):
    label = torch.randint(3, (64,))
    points = torch.randn(64, 12, 6) * torch.tensor([0.5, 1.0, 1.5])[label, None, None]
    loss = F.cross_entropy(model(points), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
