"""In-place operations and views: ReLU(inplace=True), `+=`, chunks, transposes, an expanded one."""

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(0)
images, labels = map(torch.tensor, load_digits(return_X_y=True))
images = ((images.float() - 4.9) / 6.0).view(-1, 8, 8)


class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.across, self.along = nn.Linear(9, 9), nn.Linear(16, 32)
        self.norm, self.act = nn.LayerNorm(16), nn.ReLU(inplace=True)

    def forward(self, x):
        x = x + self.across(self.norm(x).transpose(1, 2)).transpose(1, 2)
        gate, value = self.along(self.norm(x)).chunk(2, dim=-1)
        mixed = self.act(value + 0.0) * gate.sigmoid()
        mixed += x
        return mixed


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.token = nn.Linear(8, 16), nn.Parameter(torch.zeros(1, 1, 16))
        self.mixers = nn.Sequential(Mixer(), Mixer())
        self.head = nn.Linear(16, 10)

    def forward(self, x):
        token = self.token.expand(len(x), -1, -1)
        return self.head(self.mixers(torch.cat([token, self.embed(x)], dim=1))[:, 0])


model = Net()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for _ in range(100):
    chosen = torch.randint(len(images), (64,))
    loss = nn.functional.cross_entropy(model(images[chosen]), labels[chosen])
    optimizer.zero_grad(set_to_none=False)
    loss.backward()
    optimizer.step()
