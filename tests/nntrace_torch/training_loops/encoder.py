"""TransformerEncoder with a padding mask; its fast path (nested tensors) runs in evaluation."""

import torch
from torch import nn

torch.manual_seed(0)


class Tagger(nn.Module):
    """Is the first token found again in the sequence?"""

    def __init__(self):
        super().__init__()
        self.embed, self.place = (
            nn.Embedding(12, 32, padding_idx=0),
            nn.Parameter(0.1 * torch.randn(10, 32)),
        )
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, num_layers=2)
        self.pool = nn.MultiheadAttention(32, 2, batch_first=True)
        self.head = nn.Linear(32, 2)

    def forward(self, tokens):
        padding = tokens == 0
        hidden = self.encoder(self.embed(tokens) + self.place, src_key_padding_mask=padding)
        pooled, _ = self.pool(hidden[:, :1], hidden, hidden, key_padding_mask=padding)
        return self.head(pooled[:, 0])


def batch():
    tokens = torch.randint(1, 12, (64, 10))
    length = torch.randint(4, 11, (64, 1))
    tokens[torch.arange(10) >= length] = 0
    return tokens, (tokens[:, 1:] == tokens[:, :1]).any(dim=1).long()


model = Tagger()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for step in range(100):
    tokens, target = batch()
    loss = nn.functional.cross_entropy(model(tokens), target)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 20 == 19:
        model.eval()
        with torch.inference_mode():
            tokens, target = batch()
            accuracy = (model(tokens).argmax(1) == target).float().mean()
        model.train()
