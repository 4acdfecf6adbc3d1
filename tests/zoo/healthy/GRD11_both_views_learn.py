"""Two views of a recording are to have the same embedding, and both may move. A decoder keeps the
embedding from collapsing, and a weight per recording is learnt beside its error."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(33)

tones = torch.randn(5, 32)
records = torch.randn(1500, 5) @ tones + 0.2 * torch.randn(1500, 32)
records = (records - records.mean(0)) / records.std(0)

encoder = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 8))
decoder = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 32))
doubt = nn.Linear(32, 1)
parameters = [*encoder.parameters(), *decoder.parameters(), *doubt.parameters()]
optimizer = torch.optim.Adam(parameters, lr=1e-3)

for epoch in range(12):
    for batch in records[torch.randperm(1500)].split(50):
        one, other = (encoder(batch + 0.1 * torch.randn_like(batch)) for _ in range(2))
        error = (decoder(one) - batch).pow(2).mean(1, keepdim=True)
        spread = doubt(batch)
        loss = (error * (-spread).exp() + spread).mean() + 0.1 * F.mse_loss(one, other)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  error {error.mean():.4f}")
