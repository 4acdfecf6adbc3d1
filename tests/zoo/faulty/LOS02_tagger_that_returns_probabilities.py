"""Tags each word of a sentence by an LSTM. The model returns `softmax(dim=-1)`, since a tag's
probability is what the caller wants, and the training hands that to the cross-entropy."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(123)
WORDS, TAGS = 80, 6


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(WORDS, 24)
        self.lstm = nn.LSTM(24, 24, batch_first=True, bidirectional=True)
        self.tags = nn.Linear(48, TAGS)

    def forward(self, sentence):
        states, _ = self.lstm(self.words(sentence))
        return self.tags(states).softmax(dim=-1)


tag_of = torch.randint(TAGS, (WORDS, 2))
model = Tagger()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for step in range(150):
    sentence = torch.randint(WORDS, (32, 12))
    before = torch.cat([torch.zeros(32, 1), (sentence[:, :-1] > 40).float()], dim=1).long()
    tags = tag_of[sentence, before]
    loss = F.cross_entropy(model(sentence).flatten(0, 1), tags.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 15 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
