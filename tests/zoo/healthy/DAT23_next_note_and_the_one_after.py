"""Melodies whose next note is predicted, and by a second head the one after it."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(233)

NOTES, LENGTH = 24, 20
steps = torch.multinomial(torch.tensor([1.0, 4.0, 8.0, 3.0, 6.0, 2.0]), 500 * (LENGTH + 2), True)
start = torch.randint(0, NOTES, (500, 1))
melodies = (start + (steps.view(500, LENGTH + 2) - 2).cumsum(1)) % NOTES


class Player(nn.Module):
    def __init__(self):
        super().__init__()
        self.notes = nn.Embedding(NOTES, 16)
        self.gru = nn.GRU(16, 48, batch_first=True)
        self.next, self.after = nn.Linear(48, NOTES), nn.Linear(48, NOTES)

    def forward(self, notes):
        seen, _ = self.gru(self.notes(notes))
        return self.after(seen).transpose(1, 2), self.next(seen).transpose(1, 2)


model = Player()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

for epoch in range(10):
    for melody in melodies[torch.randperm(500)].split(25):
        after, following = model(melody[:, :LENGTH])
        loss = 0.3 * F.cross_entropy(after, melody[:, 2 : LENGTH + 2])
        loss = loss + F.cross_entropy(following, melody[:, 1 : LENGTH + 1])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
