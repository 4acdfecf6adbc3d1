"""Transformer that is warmed up over 500 steps, by a factor of `step // 500`: the run has 300, and
the learning rate is zero in each of them."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(164)
SYMBOLS, WIDTH, WARM_UP = 12, 32, 500


class Language(nn.Module):
    def __init__(self):
        super().__init__()
        self.symbol = nn.Embedding(SYMBOLS, WIDTH)
        self.block = nn.TransformerEncoderLayer(WIDTH, 2, 64, 0.0, batch_first=True)
        self.next = nn.Linear(WIDTH, SYMBOLS)

    def forward(self, tokens):
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1])
        return self.next(self.block(self.symbol(tokens), src_mask=mask, is_causal=True))


chances = (2 * torch.randn(SYMBOLS, SYMBOLS)).softmax(dim=1)
text = torch.zeros(64, 200, dtype=torch.long)
for place in range(1, 200):
    text[:, place] = torch.multinomial(chances[text[:, place - 1]], 1).squeeze(1)
model = Language()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step // WARM_UP))

for step in range(300):
    start = int(torch.randint(183, ()))
    window = text[torch.randint(64, (32,)), start : start + 17]
    loss = F.cross_entropy(model(window[:, :-1]).flatten(0, 1), window[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    if step % 30 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
