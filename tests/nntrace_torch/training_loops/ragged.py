"""Nested (jagged) tensors through linear layers: sequences of different lengths without padding."""

import torch
from torch import nn

torch.manual_seed(0)


class Ragged(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.act, self.out = nn.Linear(4, 24), nn.ReLU(), nn.Linear(24, 24)
        self.head = nn.Linear(24, 1)

    def forward(self, series):
        hidden = self.out(self.act(self.embed(series)))
        pooled = torch.stack([part.mean(dim=0) for part in hidden.unbind()])
        return self.head(pooled)


model = Ragged()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for _ in range(60):
    parts = [torch.randn(int(n), 4) for n in torch.randint(2, 9, (32,))]
    target = torch.stack([p.square().mean() for p in parts]).unsqueeze(1)
    series = torch.nested.nested_tensor(parts, layout=torch.jagged)
    loss = nn.functional.mse_loss(model(series), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
