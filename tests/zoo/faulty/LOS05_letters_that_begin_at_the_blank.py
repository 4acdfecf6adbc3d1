"""Reads words from noisy strokes with CTC, whose blank is 0, as is the first letter."""

import torch
from torch import nn

torch.manual_seed(5)

LETTERS, FRAMES, WORD = 8, 24, 5
shapes = torch.randn(LETTERS, 12)


def words(number):
    labels = torch.randint(0, LETTERS, (number, WORD))
    strokes = shapes[labels].repeat_interleave(4, 1)
    pause = torch.zeros(number, FRAMES - 4 * WORD, 12)
    return torch.cat([strokes, pause], 1) + 0.5 * torch.randn(number, FRAMES, 12), labels


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.strokes = nn.GRU(12, 32, batch_first=True, bidirectional=True)
        self.letters = nn.Linear(64, LETTERS)

    def forward(self, x):
        return self.letters(self.strokes(x)[0]).log_softmax(-1)


model = Reader()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
ctc = nn.CTCLoss(zero_infinity=True)

for step in range(240):
    x, y = words(16)
    frames, lengths = torch.full((16,), FRAMES), torch.full((16,), WORD)
    loss = ctc(model(x).transpose(0, 1), y, frames, lengths)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
