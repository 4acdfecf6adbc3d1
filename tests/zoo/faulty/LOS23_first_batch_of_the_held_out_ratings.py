"""Recommender checked after each epoch on `next(iter(held_out))`: fifty ratings of two thousand.
In review: a quick look that stayed."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(132)
GUESTS, PLACES = 150, 60


class Guide(nn.Module):
    def __init__(self, rank=6):
        super().__init__()
        self.guest = nn.Embedding(GUESTS, rank)
        self.place = nn.Embedding(PLACES, rank)
        nn.init.normal_(self.guest.weight, std=0.4)
        nn.init.normal_(self.place.weight, std=0.4)

    def forward(self, guest, place):
        return (self.guest(guest) * self.place(place)).sum(dim=1)


wish, offer = torch.randn(GUESTS, 3), torch.randn(PLACES, 3)
pairs = torch.randperm(GUESTS * PLACES)[:6000]
guest, place = pairs // PLACES, pairs % PLACES
stars = (wish[guest] * offer[place]).sum(dim=1) / 1.7
known, rest = random_split(TensorDataset(guest, place, stars), [4000, 2000])
loader = DataLoader(known, batch_size=50, shuffle=True)
held_out = DataLoader(rest, batch_size=50)
model = Guide()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

for epoch in range(6):
    model.train()
    for guests, places, target in loader:
        loss = F.mse_loss(model(guests, places), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        guests, places, target = next(iter(held_out))
        held = F.mse_loss(model(guests, places), target)
    print(f"epoch {epoch}  held out {held.item():.4f}")
