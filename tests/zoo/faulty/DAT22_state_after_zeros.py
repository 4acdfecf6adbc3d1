"""Where does a walk end? In review: walks of different lengths are filled up with zeros, and the
prediction is made of `h_n` after all of them."""

import torch
from torch import nn

torch.manual_seed(222)

WALKS, LONGEST = 800, 60
lengths = torch.randint(8, LONGEST + 1, (WALKS,))
steps = torch.randn(WALKS, LONGEST, 2)
steps[torch.arange(LONGEST) >= lengths[:, None]] = 0.0
ends = steps.sum(1) / LONGEST**0.5


class Walker(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(2, 32, batch_first=True)
        self.head = nn.Linear(32, 2)

    def forward(self, walk):
        _, state = self.gru(walk)
        return self.head(state[-1])


model = Walker()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
criterion = nn.MSELoss()

for epoch in range(10):
    for drawn in torch.randperm(WALKS).split(40):
        loss = criterion(model(steps[drawn]), ends[drawn])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
