"""Next-word model (Bengio et al. 2003) on Python's own help texts: its inputs are integers up to
600, far from zero mean and unit scale, which an embedding looks up."""

import re
from collections import Counter
from pydoc_data.topics import topics

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(102)

CONTEXT, VOCABULARY = 8, 600
words = re.findall(r"[a-z]+", " ".join(topics.values()).lower())[:24000]
common = [word for word, _ in Counter(words).most_common(VOCABULARY - 1)]
index = {word: position for position, word in enumerate(common, start=1)}
tokens = torch.tensor([index.get(word, 0) for word in words])
windows = tokens.unfold(0, CONTEXT + 1, 1)
loader = DataLoader(TensorDataset(windows), batch_size=128, shuffle=True)


class NextWord(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, width)
        self.hidden = nn.Linear(CONTEXT * width, 128)
        self.head = nn.Linear(128, VOCABULARY)

    def forward(self, context):
        return self.head(F.relu(self.hidden(self.embed(context).flatten(1))))


model = NextWord()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

for epoch in range(2):
    for step, (window,) in enumerate(loader):
        loss = F.cross_entropy(model(window[:, :-1]), window[:, -1])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 40 == 0:
            print(f"epoch {epoch}  step {step:3d}  loss {loss.item():.4f}")
