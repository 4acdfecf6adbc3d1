"""Topic of short texts from sparse counts of 4000 words, by plain SGD: a step changes the columns
of the words in its eight texts and leaves all others."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(85)

WORDS, TOPICS = 4000, 8
rates = torch.softmax(2.0 * torch.randn(TOPICS, WORDS), 1)


def texts(count):
    topic = torch.randint(TOPICS, (count,))
    words = torch.multinomial(rates[topic], 12, replacement=True)
    return torch.zeros(count, WORDS).scatter_(1, words, 1.0), topic


model = nn.Sequential(nn.Linear(WORDS, 32), nn.ReLU(), nn.Linear(32, TOPICS))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

for step in range(400):
    counts, topic = texts(8)
    loss = F.cross_entropy(model(counts), topic)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
