"""Transformer that repeats its input half a window later, under PyTorch's causal mask of -inf: half
the attention scores are infinite by design, and the softmax makes zeros of them."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(128)

HALF, SYMBOLS, WIDTH = 8, 8, 32
LENGTH = 2 * HALF - 1


def repeated(count):
    half = torch.randint(SYMBOLS, (count, HALF))
    return torch.cat([half, half], dim=1)


class Copier(nn.Module):
    def __init__(self):
        super().__init__()
        self.token = nn.Embedding(SYMBOLS, WIDTH)
        self.position = nn.Embedding(LENGTH, WIDTH)
        layer = nn.TransformerEncoderLayer(
            WIDTH, 4, 4 * WIDTH, dropout=0.0, batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, SYMBOLS)

    def forward(self, tokens, mask):
        x = self.token(tokens) + self.position(torch.arange(tokens.shape[1]))
        return self.head(self.norm(self.encoder(x, mask=mask)))


model = Copier()
mask = nn.Transformer.generate_square_subsequent_mask(LENGTH)
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)

for step in range(300):
    tokens = repeated(64)
    loss = F.cross_entropy(model(tokens[:, :-1], mask).flatten(0, 1), tokens[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
