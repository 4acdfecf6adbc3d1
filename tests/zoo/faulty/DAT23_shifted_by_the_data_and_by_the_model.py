"""A character model that computes its own loss, as those of Hugging Face do. In review: the data
set gives it labels that are shifted already."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(231)

LETTERS, LENGTH, WIDTH = 40, 32, 48
follows = torch.softmax(2 * torch.randn(LETTERS, LETTERS), 1)
text = torch.empty(600, LENGTH + 1, dtype=torch.long)
text[:, 0] = torch.randint(0, LETTERS, (600,))
for place in range(LENGTH):
    text[:, place + 1] = torch.multinomial(follows[text[:, place]], 1).squeeze(1)


class CausalModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.letters = nn.Embedding(LETTERS, WIDTH)
        self.places = nn.Embedding(LENGTH, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 96, dropout=0.0, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, LETTERS)

    def forward(self, input_ids, labels):
        mask = nn.Transformer.generate_square_subsequent_mask(input_ids.shape[1])
        seen = self.letters(input_ids) + self.places.weight[: input_ids.shape[1]]
        logits = self.head(self.layers(seen, mask=mask, is_causal=True))
        loss = F.cross_entropy(logits[:, :-1].reshape(-1, LETTERS), labels[:, 1:].reshape(-1))
        return loss, logits


loader = DataLoader(TensorDataset(text[:, :-1], text[:, 1:]), batch_size=30, shuffle=True)
model = CausalModel()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(8):
    for input_ids, labels in loader:
        loss, _ = model(input_ids, labels=labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
