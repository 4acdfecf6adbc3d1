"""A language model of convolutions padded on the left; labels are given to the model."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
VOCABULARY = 16
text = torch.cumsum(torch.randint(1, 3, (5000,)), 0) % VOCABULARY


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, 32)
        self.layers = nn.ModuleList(nn.Conv1d(32, 32, 3) for _ in range(2))
        self.head = nn.Linear(32, VOCABULARY)

    def forward(self, input_ids, labels):
        x = self.tokens(input_ids).transpose(1, 2)
        for layer in self.layers:
            x = x + F.gelu(layer(F.pad(x, (2, 0))))
        logits = self.head(x.transpose(1, 2))
        shifted = labels[:, 1:].contiguous()
        loss = F.cross_entropy(logits[:, :-1].reshape(-1, VOCABULARY), shifted.view(-1))
        return {"loss": loss, "logits": logits}


model = Model()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for _ in range(220):
    starts = torch.randint(0, len(text) - 20, (16,))
    batch = torch.stack([text[s : s + 20] for s in starts])
    optimizer.zero_grad()
    model(input_ids=batch, labels=batch.clone())["loss"].backward()
    optimizer.step()
