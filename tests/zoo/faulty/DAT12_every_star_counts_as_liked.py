"""Learns which films a person likes, which is a rating above the middle. Ratings go from 1 to 5 and
are compared with 0, the middle of an older data set: everybody likes everything."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(100)
PEOPLE, FILMS = 200, 100

taste, kind = torch.randn(PEOPLE, 4), torch.randn(FILMS, 4)
person, film = torch.randint(PEOPLE, (5000,)), torch.randint(FILMS, (5000,))
stars = (3 + (taste[person] * kind[film]).sum(1)).round().clamp(1, 5)
liked = (stars > 0).float()


class Preference(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.person = nn.Embedding(PEOPLE, width)
        self.film = nn.Embedding(FILMS, width)
        self.hidden = nn.Linear(2 * width, 32)
        self.out = nn.Linear(32, 1)

    def forward(self, person, film):
        both = torch.cat([self.person(person), self.film(film)], dim=1)
        return self.out(F.relu(self.hidden(both))).squeeze(1)


loader = DataLoader(TensorDataset(person, film, liked), batch_size=64, shuffle=True)
model = Preference()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(3):
    for people, films, target in loader:
        loss = F.binary_cross_entropy_with_logits(model(people, films), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
