"""Language model that reads prompts from both sides: their words are no targets, the others are."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(31)

VOCABULARY, LENGTH, WIDTH, HEADS, EXAMPLES = 30, 20, 48, 4, 16
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
        layer = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 2 * WIDTH, dropout=0.0, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, ids, prompts):
        x = self.words(ids) + self.places(torch.arange(LENGTH))
        inside = torch.arange(LENGTH) < prompts
        hidden = torch.ones(LENGTH, LENGTH).triu(1).bool() & ~(inside[:, :, None] & inside[:, None])
        return self.head(self.layers(x, mask=hidden.repeat_interleave(HEADS, 0)))


model = LanguageModel()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
for _ in range(200):
    starts = torch.randint(0, len(text) - LENGTH - 1, (EXAMPLES, 1))
    words = text[starts + torch.arange(LENGTH + 1)]
    prompts = torch.randint(2, 15, (EXAMPLES, 1))
    wanted = words[:, 1:].masked_fill(torch.arange(LENGTH) < prompts - 1, -100)
    loss = F.cross_entropy(model(words[:, :-1], prompts).flatten(0, 1), wanted.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"loss {loss.item():.3f}")
