"""Year of a recording from its spectrum: targets around 1970 with a deviation of 12."""

import torch
from torch import nn

torch.manual_seed(53)

spectrum = torch.randn(2000, 1, 32)
year = 1970 + 8 * spectrum[:, 0, :8].mean(1, keepdim=True) * 2.8 + 8 * torch.randn(2000, 1)

model = nn.Sequential(nn.Conv1d(1, 8, 5), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 28, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for step in range(200):
    rows = torch.randint(2000, (64,))
    loss = nn.functional.l1_loss(model(spectrum[rows]), year[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step}  loss {loss.item():.1f}")
