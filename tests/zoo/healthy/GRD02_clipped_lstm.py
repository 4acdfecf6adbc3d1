"""Character LSTM on Python's own help texts: its gradient norm jumps from batch to batch, and the
rare large ones are clipped."""

import re
from pydoc_data.topics import topics

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(118)

LENGTH = 40
text = re.sub(r"[^a-z .,]+", " ", " ".join(topics.values()).lower())
text = re.sub(r" +", " ", text)[:80000]
alphabet = sorted(set(text))
codes = torch.tensor([alphabet.index(c) for c in text])


class CharLSTM(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.embed = nn.Embedding(len(alphabet), 16)
        self.lstm = nn.LSTM(16, width, batch_first=True)
        self.head = nn.Linear(width, len(alphabet))

    def forward(self, window):
        states, _ = self.lstm(self.embed(window))
        return self.head(states)


model = CharLSTM()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

for step in range(300):
    start = torch.randint(len(codes) - LENGTH, (16, 1))
    window = codes[start + torch.arange(LENGTH + 1)]
    logits = model(window[:, :-1])
    loss = F.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.3)
    optimizer.step()
    if step % 30 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
