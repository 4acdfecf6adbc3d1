"""Gives each text its tags, of which it has several. The cross-entropy is that of exclusive
classes: it makes the tags of a text compete.
"""

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(0)
rule = torch.randn(30, 8)


class Texts(Dataset):
    def __init__(self, count=2000):
        self.features = torch.randn(count, 30)
        self.tags = (self.features @ rule > 2.0).float()

    def __len__(self):
        return len(self.features)

    def __getitem__(self, number):
        return {"features": self.features[number], "tags": self.tags[number]}


model = nn.Sequential(nn.Linear(30, 64), nn.ReLU(), nn.Linear(64, 8))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
criterion = nn.CrossEntropyLoss()
for epoch in range(6):
    for batch in DataLoader(Texts(), batch_size=50, shuffle=True):
        logits = model(batch["features"])
        loss = criterion(logits, batch["tags"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    right = ((logits.sigmoid() > 0.5).float() == batch["tags"]).float().mean()
    print(f"epoch {epoch}  loss {loss.item():.4f}  tags right {right.item():.3f}")
