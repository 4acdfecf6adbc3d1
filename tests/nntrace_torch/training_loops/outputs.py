"""Modules that take and return dataclasses, dictionaries, named tuples and None."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(0)
images, labels = map(torch.tensor, load_digits(return_X_y=True))
images = (images.float() - 4.9) / 6.0


@dataclass
class Batch:
    images: torch.Tensor
    labels: torch.Tensor | None = None


@dataclass
class Output:
    logits: torch.Tensor
    loss: torch.Tensor | None = None


class Hidden(NamedTuple):
    features: torch.Tensor
    norm: torch.Tensor


class Trunk(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(64, 64)

    def forward(self, batch):
        features = torch.relu(self.linear(batch.images))
        return Hidden(features, features.norm(dim=1))


class Meter(nn.Module):
    """Counts and returns nothing."""

    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))

    def forward(self, hidden):
        self.seen += len(hidden.features)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk, self.meter, self.head = Trunk(), Meter(), nn.Linear(64, 10)

    def forward(self, batch):
        hidden = self.trunk(batch)
        self.meter(hidden)
        logits = self.head(hidden.features)
        if batch.labels is None:
            return Output(logits)
        return Output(logits, nn.functional.cross_entropy(logits, batch.labels))


model = Model()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for _ in range(80):
    chosen = torch.randint(len(images), (64,))
    output = model(Batch(images[chosen], labels[chosen]))
    optimizer.zero_grad()
    output.loss.backward()
    optimizer.step()
