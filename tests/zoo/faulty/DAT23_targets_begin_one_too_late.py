"""Melodies, note by note, through a recurrent net. In review: the window of targets begins two
notes after that of the inputs, not one."""

import torch
from torch import nn

torch.manual_seed(232)

NOTES, LENGTH = 24, 20
steps = torch.multinomial(torch.tensor([1.0, 4.0, 8.0, 3.0, 6.0, 2.0]), 500 * (LENGTH + 2), True)
start = torch.randint(0, NOTES, (500, 1))
melodies = (start + (steps.view(500, LENGTH + 2) - 2).cumsum(1)) % NOTES


class Player(nn.Module):
    def __init__(self):
        super().__init__()
        self.notes = nn.Embedding(NOTES, 16)
        self.gru = nn.GRU(16, 48, batch_first=True)
        self.head = nn.Linear(48, NOTES)

    def forward(self, notes):
        return self.head(self.gru(self.notes(notes))[0])


model = Player()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
criterion = nn.CrossEntropyLoss()

for epoch in range(10):
    for melody in melodies[torch.randperm(500)].split(25):
        notes, wanted = melody[:, :LENGTH], melody[:, 2 : LENGTH + 2]
        loss = criterion(model(notes).transpose(1, 2), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
