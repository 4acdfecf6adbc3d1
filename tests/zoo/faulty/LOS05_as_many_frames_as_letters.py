"""Speech of several lengths whose numbers of letters are given to CTC as numbers of frames, too."""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(6)

LETTERS, FRAMES = 9, 30
sounds = torch.randn(LETTERS, 10)


def sentences(number):
    lengths = torch.randint(3, 7, (number,))
    x, labels = torch.zeros(number, FRAMES, 10), torch.zeros(number, 6, dtype=torch.long)
    for row, length in enumerate(lengths.tolist()):
        labels[row, :length] = torch.randint(1, LETTERS, (length,))
        x[row, : 4 * length] = sounds[labels[row, :length]].repeat_interleave(4, 0)
    return x + 0.4 * torch.randn_like(x), labels, lengths


encoder = nn.LSTM(10, 32, batch_first=True, bidirectional=True)
head = nn.Linear(64, LETTERS)
optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=3e-3)

for step in range(240):
    x, labels, lengths = sentences(16)
    log_probs = head(encoder(x)[0]).log_softmax(2).permute(1, 0, 2)
    loss = functional.ctc_loss(log_probs, labels, lengths, lengths, zero_infinity=True)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
