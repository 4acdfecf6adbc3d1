"""Mixture of four experts with a soft gate and a balancing term, for a function of four regions."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(313)

x = 2 * torch.rand(3000, 2) - 1
sharp = torch.stack([x[:, 0], -x[:, 1], x.prod(1), x.square().sum(1)], 1)
region = 2 * (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
y = sharp.gather(1, region[:, None]) + 0.05 * torch.randn(3000, 1)


class Experts(nn.Module):
    def __init__(self, count=4):
        super().__init__()
        self.gate = nn.Linear(2, count)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(2, 24), nn.ReLU(), nn.Linear(24, 1)) for _ in range(count)
        )

    def forward(self, x):
        share = self.gate(x).softmax(1)
        each = torch.cat([expert(x) for expert in self.experts], 1)
        return (share * each).sum(1, keepdim=True), share


model = Experts()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

for epoch in range(8):
    for rows in torch.randperm(len(x)).split(64):
        found, share = model(x[rows])
        balance = share.mean(0).square().sum() * 4 - 1
        loss = F.mse_loss(found, y[rows]) + 0.01 * balance
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
