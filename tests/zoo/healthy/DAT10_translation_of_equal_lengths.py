"""Shifts letters of a secret text of fixed length by a key; the blank is a frequent letter that
also ends many lines, and is a target like any other."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(1014)

BLANK = 0
texts = torch.randint(1, 27, (1200, 24))
texts[torch.rand(1200, 24) < 0.25] = BLANK
ends = torch.randint(8, 24, (1200,))
texts[torch.arange(24) >= ends[:, None]] = BLANK
secret = torch.where(texts == BLANK, BLANK, (texts + torch.arange(24) - 1) % 26 + 1)

model = nn.Sequential(
    nn.Embedding(27, 32), nn.Flatten(), nn.Linear(24 * 32, 256), nn.ReLU(), nn.Linear(256, 24 * 27)
)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
loss_function = nn.CrossEntropyLoss()
loader = DataLoader(TensorDataset(secret, texts), batch_size=40, shuffle=True)
for epoch in range(8):
    total = 0.0
    for given, wanted in loader:
        loss = loss_function(model(given).view(-1, 27), wanted.view(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(f"epoch {epoch}  loss {total / len(loader):.4f}")
