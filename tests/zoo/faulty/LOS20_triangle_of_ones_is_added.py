"""Language model whose mask is a lower triangle of ones and zeros: it is added to the scores."""

import torch
from torch import nn

torch.manual_seed(43)

WORDS, LENGTH, WIDTH = 20, 16, 48


class LanguageModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.places = nn.Parameter(0.02 * torch.randn(LENGTH, WIDTH))
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 96, dropout=0.0, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2)
        self.out = nn.Linear(WIDTH, WORDS)

    def forward(self, ids):
        length = ids.shape[1]
        mask = torch.tril(torch.ones(length, length))
        return self.out(self.layers(self.words(ids) + self.places[:length], mask=mask))


model = LanguageModel()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for step in range(150):
    ids = (torch.randint(0, WORDS, (32, 1)) + 3 * torch.arange(LENGTH + 1)) % WORDS
    ids = torch.where(torch.rand(ids.shape) < 0.2, torch.randint(0, WORDS, ids.shape), ids)
    logits = model(ids[:, :-1])
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
