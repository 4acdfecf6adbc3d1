"""Tags each token of a sentence by what stood before it, and lays the tags out for the loss."""

import torch
from torch import nn

torch.manual_seed(8)
TAGS, TOKENS, LENGTH = 5, 30, 14
tag_of = torch.randint(0, TAGS, (TOKENS,))


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(TOKENS, 16)
        self.memory = nn.GRU(16, 32, batch_first=True)
        self.tag = nn.Linear(32, TAGS)

    def forward(self, tokens):
        return self.tag(self.memory(self.embed(tokens))[0])


model = Tagger()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)

for step in range(250):
    tokens = torch.randint(0, TOKENS, (32, LENGTH))
    tags = tag_of[tokens]
    scores = model(tokens)
    loss = criterion(scores.view(32, TAGS, LENGTH), tags)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
