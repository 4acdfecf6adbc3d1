"""Counts in long rows of bits, read in pieces: the model keeps the state of each row from piece to
piece, so that outputs go by the place in the batch, by right. It begins to learn late.
"""

import torch
from torch import nn

torch.manual_seed(0)
ROWS, PIECE = 32, 10


class Majority(nn.Module):
    def __init__(self):
        super().__init__()
        self.memory = nn.GRU(1, 24, batch_first=True)
        self.head = nn.Linear(24, 2)
        self.state = None

    def forward(self, bits):
        out, state = self.memory(bits[..., None] - 0.5, self.state)
        self.state = state.detach()
        return self.head(out)


model = Majority()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-4)
for story in range(30):
    model.state = None
    lean = torch.rand(ROWS, 1)
    bits = (torch.rand(ROWS, 12 * PIECE) < 0.4 + 0.2 * lean).long()
    ahead = (bits.cumsum(1) > torch.arange(1, 12 * PIECE + 1) / 2).long()
    for start in range(0, 12 * PIECE, PIECE):
        piece = slice(start, start + PIECE)
        logits = model(bits[:, piece].float())
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), ahead[:, piece].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"story {story}  loss {loss.item():.4f}")
