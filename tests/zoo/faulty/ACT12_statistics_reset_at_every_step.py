"""Cleans noisy spectra with a convolutional network. The statistics of its norms are to be taken
anew once per epoch; the call slipped into the loop over batches, so they never get beyond the
first tenth of the way. In review: one level of indentation."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(80)


def spectra(count):
    axis = torch.linspace(0, 1, 96)
    centre, width = torch.rand(count, 4, 1), 0.01 + 0.03 * torch.rand(count, 4, 1)
    clean = (-(((axis - centre) / width) ** 2)).exp().mul(torch.rand(count, 4, 1) * 3).sum(1)
    return (clean + 0.3 * torch.randn_like(clean)).unsqueeze(1), clean.unsqueeze(1)


model = nn.Sequential(
    nn.Conv1d(1, 24, 7, padding=3),
    nn.BatchNorm1d(24),
    nn.ReLU(),
    nn.Conv1d(24, 24, 7, padding=3),
    nn.BatchNorm1d(24),
    nn.ReLU(),
    nn.Conv1d(24, 1, 7, padding=3),
)
norms = [module for module in model if isinstance(module, nn.BatchNorm1d)]
noisy, clean = spectra(1600)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for epoch in range(6):
    for rows in torch.randperm(len(noisy)).split(32):
        for norm in norms:
            norm.reset_running_stats()
        loss = F.mse_loss(model(noisy[rows]), clean[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
