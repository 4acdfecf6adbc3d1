"""A mixture of experts: some experts get no example in some steps (empty batches)."""

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(0)
images, labels = map(torch.tensor, load_digits(return_X_y=True))
images = (images.float() - 4.9) / 6.0


class Experts(nn.Module):
    def __init__(self, width, count):
        super().__init__()
        self.gate = nn.Linear(width, count)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, width))
            for _ in range(count)
        )

    def forward(self, x):
        weight, choice = self.gate(x).softmax(dim=1).max(dim=1)
        out = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            mine = choice == number
            out[mine] = weight[mine, None] * expert(x[mine])
        return x + out


model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), Experts(32, 6), nn.Linear(32, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for _ in range(100):
    chosen = torch.randint(len(images), (16,))
    loss = nn.functional.cross_entropy(model(images[chosen]), labels[chosen])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
