"""Next value of a noisy oscillation by a GRU. The squared error is written out, on predictions (N,
1) and targets (N,): no function of PyTorch's is there to warn."""

import torch
from torch import nn

torch.manual_seed(1)

time = torch.arange(3000) * 0.1
series = torch.sin(time) + 0.5 * torch.sin(2.7 * time) + 0.05 * torch.randn(3000)
windows = series.unfold(0, 25, 1)


class Forecast(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(1, 24, batch_first=True)
        self.head = nn.Linear(24, 1)

    def forward(self, past):
        return self.head(self.rnn(past.unsqueeze(2))[0][:, -1])


model = Forecast()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for step in range(250):
    batch = windows[torch.randint(len(windows), (48,))]
    prediction = model(batch[:, :-1])
    loss = ((prediction - batch[:, -1]) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
