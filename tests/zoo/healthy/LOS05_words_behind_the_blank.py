"""Reads words of several lengths with CTC: padding is 0, the blank, and letters begin at 1. A word
now and then is too long for its frames."""

import torch
from torch import nn

torch.manual_seed(8)

LETTERS, LONGEST = 9, 10
sounds = torch.randn(LETTERS, 10)


def sentences(number):
    lengths = torch.randint(3, LONGEST + 1, (number,))
    frames = torch.where(torch.rand(number) < 0.03, lengths, 3 * lengths)
    x = 0.4 * torch.randn(number, 3 * LONGEST, 10)
    labels = torch.zeros(number, LONGEST, dtype=torch.long)
    for row, length in enumerate(lengths.tolist()):
        labels[row, :length] = torch.randint(1, LETTERS, (length,))
        x[row, : 3 * length] += sounds[labels[row, :length]].repeat_interleave(3, 0)
    return x, labels, frames, lengths


class Listener(nn.Module):
    def __init__(self):
        super().__init__()
        self.sound = nn.GRU(10, 32, batch_first=True, bidirectional=True)
        self.letters = nn.Linear(64, LETTERS)

    def forward(self, x):
        return self.letters(self.sound(x)[0]).log_softmax(2)


model = Listener()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
ctc = nn.CTCLoss(zero_infinity=True)

for step in range(240):
    x, labels, frames, lengths = sentences(16)
    loss = ctc(model(x).permute(1, 0, 2), labels, frames, lengths)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
