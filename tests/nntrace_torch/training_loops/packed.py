"""An LSTM over packed sequences of different lengths, and a GRU cell called step by step."""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence

torch.manual_seed(0)


class Summer(nn.Module):
    """Predicts the mean of a series."""

    def __init__(self):
        super().__init__()
        self.lstm, self.cell = nn.LSTM(2, 16, batch_first=True), nn.GRUCell(16, 16)
        self.head = nn.Linear(16, 1)

    def forward(self, packed):
        out, _ = self.lstm(packed)
        padded, _ = pad_packed_sequence(out, batch_first=True)
        state = torch.zeros(len(padded), 16)
        for moment in padded.unbind(dim=1):
            state = self.cell(moment, state)
        return self.head(state)


model = Summer()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for _ in range(80):
    series = [torch.randn(int(n), 2) for n in torch.randint(3, 9, (32,))]
    target = torch.stack([s[:, 0].mean() for s in series]).unsqueeze(1)
    packed = pack_sequence(series, enforce_sorted=False)
    loss = nn.functional.mse_loss(model(packed), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
