"""Which chapter a paragraph of Python's help is from, by counts of its words, which are scaled by a
logarithm."""

import re
from collections import Counter
from pydoc_data.topics import topics

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(80)

chapters = sorted(topics, key=lambda name: -len(topics[name]))[:4]
samples = [
    (re.findall(r"[a-z]+", topics[name][start : start + 300].lower()), number)
    for number, name in enumerate(chapters)
    for start in range(0, min(len(topics[name]), 36000), 120)
]
common = Counter(word for words, _ in samples for word in words).most_common(300)
index = {word: place for place, (word, _) in enumerate(common)}
counts = torch.zeros(len(samples), 300)
for row, (words, _) in enumerate(samples):
    for word in words:
        if word in index:
            counts[row, index[word]] += 1
loader = DataLoader(
    TensorDataset(counts.log1p(), torch.tensor([label for _, label in samples])),
    batch_size=32,
    shuffle=True,
)

model = nn.Sequential(nn.Linear(300, 48), nn.ReLU(), nn.Dropout(0.2), nn.Linear(48, 4))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(8):
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
