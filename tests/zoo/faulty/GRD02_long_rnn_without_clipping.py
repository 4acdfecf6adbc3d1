"""Mean of a noisy sequence by a tanh RNN whose recurrent matrix got the feed-forward gain of 5/3,
unclipped: a rare long batch has a gradient thousands of times the usual. In review: no clipping."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(18)


class Accumulator(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        self.rnn = nn.RNN(1, width, batch_first=True)
        self.head = nn.Linear(width, 1)
        nn.init.orthogonal_(self.rnn.weight_hh_l0, gain=nn.init.calculate_gain("tanh"))

    def forward(self, sequence):
        _, last = self.rnn(sequence)
        return self.head(last[0]).squeeze(1)


def bucket(count):
    """One batch of sequences of one length: 12 to 20 steps, or 150 in one batch of thirty."""
    length = 150 if torch.rand(()) < 1 / 30 else int(torch.randint(12, 20, ()))
    sequence = torch.randn(count, length, 1)
    return sequence, sequence.sum(dim=(1, 2)) / length**0.5


model = Accumulator()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for step in range(600):
    sequence, target = bucket(32)
    loss = F.mse_loss(model(sequence), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step:3d}  length {sequence.shape[1]:3d}  loss {loss.item():.4f}")
