"""Topic classifier on Python's help texts, a bag of embeddings trained with SGD: a batch touches
a fraction of the words, and the rows of all others keep their values to the last bit."""

import re
from collections import Counter
from pydoc_data.topics import topics

import torch
from torch import nn

torch.manual_seed(124)

LENGTH, VOCABULARY, CLASSES = 30, 1200, 8
longest = sorted(topics.values(), key=len)[-CLASSES:]
texts = [re.findall(r"[a-z_]+", text.lower()) for text in longest]
common = Counter(word for text in texts for word in text).most_common(VOCABULARY - 1)
index = {word: position for position, (word, _) in enumerate(common, start=1)}
codes = [torch.tensor([index.get(word, 0) for word in text]) for text in texts]


def passages(count):
    label = torch.randint(CLASSES, (count,))
    starts = [int(torch.randint(len(codes[k]) - LENGTH, ())) for k in label]
    rows = [codes[k][s : s + LENGTH] for k, s in zip(label, starts, strict=True)]
    return torch.stack(rows), label


class BagOfWords(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.words = nn.EmbeddingBag(VOCABULARY, width, mode="sum")
        nn.init.normal_(self.words.weight, std=LENGTH**-0.5)
        self.hidden = nn.Linear(width, 48)
        self.head = nn.Linear(48, CLASSES)

    def forward(self, passage):
        return self.head(torch.relu(self.hidden(self.words(passage))))


model = BagOfWords()
optimizer = torch.optim.SGD(model.parameters(), lr=0.04)
criterion = nn.CrossEntropyLoss()

for step in range(1200):
    passage, label = passages(32)
    loss = criterion(model(passage), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(f"step {step:4d}  loss {loss.item():.4f}")
