"""Direction of the next move from hourly bars: volume in thousands of lots next to returns."""

import torch
from torch import nn

torch.manual_seed(41)

returns = 0.01 * torch.randn(6000)
returns[1:] += 0.5 * returns[:-1]
volume = 4.0 * torch.randn(6000) + 2.0
spread = torch.rand(6000)
bars = torch.stack([returns, volume, spread], 1).unfold(0, 13, 1).transpose(1, 2)


class Mover(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(3, 24, batch_first=True)
        self.head = nn.Linear(24, 1)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1]).squeeze(1)


model = Mover()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for step in range(200):
    batch = bars[torch.randint(len(bars), (64,))]
    up = (batch[:, -1, 0] > 0).float()
    loss = nn.functional.binary_cross_entropy_with_logits(model(batch[:, :-1]), up)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
