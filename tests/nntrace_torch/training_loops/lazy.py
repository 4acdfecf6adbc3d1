"""Lazy layers that take their shape from a dry run, and an adapter built in the tenth step."""

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(0)
images, labels = map(torch.tensor, load_digits(return_X_y=True))
images = ((images.float() - 4.9) / 6.0).view(-1, 1, 8, 8)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.LazyConv2d(16, 3), nn.LazyLinear(10)
        self.adapter = None

    def forward(self, x):
        hidden = nn.functional.max_pool2d(self.conv(x).relu(), 2).flatten(1)
        if self.adapter is not None:
            hidden = hidden + self.adapter(hidden)
        return self.head(hidden)


model = Net()
model(images[:2])
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(80):
    if step == 10:
        model.adapter = nn.Sequential(nn.Linear(144, 16), nn.ReLU(), nn.Linear(16, 144))
        nn.init.zeros_(model.adapter[2].weight)
        optimizer.add_param_group({"params": model.adapter.parameters()})
    chosen = torch.randint(len(images), (64,))
    loss = nn.functional.cross_entropy(model(images[chosen]), labels[chosen])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
