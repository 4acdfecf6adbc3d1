"""Small transformer that tells, from noisy labels, which of two symbols is the more frequent;
its rate warms up from exactly zero, so that the first steps change little or nothing."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(122)

LENGTH, SYMBOLS, WIDTH = 24, 6, 32


def sequences(count):
    tokens = torch.randint(SYMBOLS, (count, LENGTH))
    surplus = (tokens == 0).sum(1) - (tokens == 1).sum(1)
    return tokens, (surplus + 2 * torch.randn(count) > 0).long()


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(SYMBOLS, WIDTH)
        layer = nn.TransformerEncoderLayer(
            WIDTH, nhead=4, dim_feedforward=64, dropout=0.0, batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, 2)

    def forward(self, tokens):
        return self.head(self.encoder(self.embed(tokens)).mean(dim=1))


model = Counter()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / 40))

for step in range(300):
    tokens, label = sequences(64)
    loss = F.cross_entropy(model(tokens), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    if step % 30 == 0:
        print(f"step {step:3d}  lr {schedule.get_last_lr()[0]:.1e}  loss {loss.item():.4f}")

model.eval()
with torch.no_grad():
    tokens, label = sequences(1000)
    print(f"accuracy {(model(tokens).argmax(1) == label).float().mean().item():.3f}")
