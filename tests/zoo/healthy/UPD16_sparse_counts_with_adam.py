"""Topic of texts from sparse counts of 1000 words, by Adam, whose moments spread each step over all
columns."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(87)

WORDS, TOPICS = 1000, 8
rates = torch.softmax(1.5 * torch.randn(TOPICS, WORDS), 1)


def texts(count):
    topic = torch.randint(TOPICS, (count,))
    words = torch.multinomial(rates[topic], 30, replacement=True)
    counts = torch.zeros(count, WORDS).scatter_add_(1, words, torch.ones(count, 30))
    return torch.log1p(counts), topic


model = nn.Sequential(nn.Linear(WORDS, 48), nn.ReLU(), nn.Linear(48, TOPICS))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for step in range(200):
    counts, topic = texts(64)
    loss = F.cross_entropy(model(counts), topic)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
