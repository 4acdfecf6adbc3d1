"""One pass over 400 sequences in batches of 16, 25 steps, taken for a training."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(101)

phase = 6.28 * torch.rand(400, 1)
waves = torch.sin(phase + 0.4 * torch.arange(25)) + 0.1 * torch.randn(400, 25)
loader = DataLoader(TensorDataset(waves[:, :-1, None], waves[:, -1:]), batch_size=16, shuffle=True)


class Forecast(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(1, 24, batch_first=True)
        self.head = nn.Linear(24, 1)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


model = Forecast()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)

for x, y in loader:
    loss = F.mse_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"loss {loss.item():.4f}")
