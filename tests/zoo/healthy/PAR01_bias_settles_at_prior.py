"""Tagger of documents with rare tags whose output biases leave zero for the log-odds of the tags,
far beyond the weights around them, and stay there."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(125)

FEATURES, TAGS = 24, 8
mixing = torch.randn(FEATURES, TAGS) / FEATURES**0.5


def documents(count):
    topics = torch.randn(count, FEATURES)
    scores = topics @ mixing + torch.randn(count, TAGS)
    return topics, (scores > 1.2).float()


class Tagger(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.hidden = nn.Linear(FEATURES, width)
        self.head = nn.Linear(width, TAGS)

    def forward(self, x):
        return self.head(torch.tanh(self.hidden(x)))


model = Tagger()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

for step in range(600):
    topics, tags = documents(64)
    loss = F.binary_cross_entropy_with_logits(model(topics), tags)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 60 == 0:
        bias = model.head.bias.mean().item()
        print(f"step {step:3d}  loss {loss.item():.4f}  mean bias {bias:.3f}")

model.eval()
with torch.no_grad():
    topics, tags = documents(2000)
    print(f"held out {F.binary_cross_entropy_with_logits(model(topics), tags).item():.4f}")
