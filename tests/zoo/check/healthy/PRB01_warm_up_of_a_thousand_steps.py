"""A transformer whose rate is still near zero when the check ends; it is set by hand."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
VOCABULARY, LENGTH = 20, 12
text = torch.cumsum(torch.randint(1, 4, (5000,)), 0) % VOCABULARY


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.places = nn.Embedding(VOCABULARY, 48), nn.Embedding(LENGTH, 48)
        layer = nn.TransformerEncoderLayer(48, 4, 96, dropout=0.1, batch_first=True)
        self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(48, VOCABULARY)

    def forward(self, tokens):
        length = tokens.shape[1]
        mask = torch.triu(torch.full((length, length), float("-inf")), 1)
        x = self.tokens(tokens) + self.places(torch.arange(length))
        return self.head(self.body(x, mask=mask, is_causal=True))


model = Model()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
for step in range(260):
    for group in optimizer.param_groups:
        group["lr"] = 2e-3 * (step + 1) / 1000
    starts = torch.randint(0, len(text) - LENGTH - 1, (16,))
    x = torch.stack([text[s : s + LENGTH] for s in starts])
    y = torch.stack([text[s + 1 : s + LENGTH + 1] for s in starts])
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
