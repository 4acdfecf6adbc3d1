"""Language model whose mask begins one place too late: each word sees the one that it predicts."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(31)

VOCABULARY, LENGTH, WIDTH = 30, 20, 48
follows = torch.randint(0, VOCABULARY, (VOCABULARY, 4))
text = [0]
for choice in torch.randint(0, 4, (20_000,)).tolist():
    text.append(int(follows[text[-1], choice]))
text = torch.tensor(text)


class LanguageModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, WIDTH)
        self.places = nn.Embedding(LENGTH, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 2 * WIDTH, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, VOCABULARY)
        self.register_buffer("hidden", torch.ones(LENGTH, LENGTH).triu(2).bool())

    def forward(self, ids):
        x = self.words(ids) + self.places(torch.arange(LENGTH))
        return self.head(self.layers(x, mask=self.hidden))


model = LanguageModel()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
for _ in range(80):
    starts = torch.randint(0, len(text) - LENGTH - 1, (16, 1))
    words = text[starts + torch.arange(LENGTH + 1)]
    loss = F.cross_entropy(model(words[:, :-1]).flatten(0, 1), words[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"loss {loss.item():.3f}")
