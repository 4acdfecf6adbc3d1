"""Two-moons classifier of three layers with one activation function: the first two are one linear
map. In review: the layers moved into a loop, one `relu` did not move with them."""

import torch
import torch.nn.functional as F
from sklearn.datasets import make_moons
from torch import nn

torch.manual_seed(37)


class Net(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.inputs = nn.Linear(2, width)
        self.hidden = nn.Linear(width, width)
        self.output = nn.Linear(width, 2)

    def forward(self, x):
        x = self.hidden(self.inputs(x))
        return self.output(F.relu(x))


x, y = make_moons(1500, noise=0.15, random_state=0)
x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
x = (x - x.mean(0)) / x.std(0)
model = Net()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

for epoch in range(12):
    for rows in torch.randperm(len(x)).split(50):
        loss = F.cross_entropy(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
