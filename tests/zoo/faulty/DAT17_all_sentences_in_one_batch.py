"""Sentiment of short sentences by a recurrent network, all two thousand in each step, since they
fit into memory. In review: a batch size that grew with the machine."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(101)
VOCABULARY = 150


class Sentiment(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, 16)
        self.rnn = nn.RNN(16, 24, batch_first=True)
        self.out = nn.Linear(24, 1)

    def forward(self, tokens):
        states, _ = self.rnn(self.words(tokens))
        return self.out(states.mean(dim=1)).squeeze(1)


sentences = torch.randint(VOCABULARY, (2000, 10))
feeling = torch.randn(VOCABULARY)[sentences].sum(dim=1) > 0
loader = DataLoader(TensorDataset(sentences, feeling.float()), batch_size=2000, shuffle=True)
model = Sentiment()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

for epoch in range(120):
    for tokens, target in loader:
        loss = F.binary_cross_entropy_with_logits(model(tokens), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 12 == 0:
        print(f"epoch {epoch:3d}  loss {loss.item():.4f}")
