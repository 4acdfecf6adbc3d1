"""Character model on Python's own help texts with a fixed sinusoidal position table (Vaswani et al.
2017) kept as a frozen embedding; the optimizer gets only what `requires_grad`."""

import re
from pydoc_data.topics import topics

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(123)

LENGTH, WIDTH = 24, 48
text = re.sub(r"[^a-z .,]+", " ", " ".join(topics.values()).lower())
text = re.sub(r" +", " ", text)[:60000]
alphabet = sorted(set(text))
codes = torch.tensor([alphabet.index(c) for c in text])


def sinusoids(length, width):
    frequency = 10000.0 ** (-torch.arange(0, width, 2) / width)
    angle = torch.arange(length).unsqueeze(1) * frequency
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)


class CharModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.token = nn.Embedding(len(alphabet), WIDTH)
        self.position = nn.Embedding.from_pretrained(sinusoids(LENGTH, WIDTH), freeze=True)
        layer = nn.TransformerEncoderLayer(
            WIDTH, 4, 2 * WIDTH, dropout=0.0, batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, len(alphabet))

    def forward(self, window):
        x = self.token(window) + self.position(torch.arange(window.shape[1]))
        future = torch.ones(LENGTH, LENGTH, dtype=torch.bool).triu(diagonal=1)
        return self.head(self.norm(self.encoder(x, mask=future)))


model = CharModel()
trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
optimizer = torch.optim.AdamW(trainable, lr=1e-3)

for step in range(240):
    start = torch.randint(len(codes) - LENGTH, (16, 1))
    window = codes[start + torch.arange(LENGTH + 1)]
    loss = F.cross_entropy(model(window[:, :-1]).flatten(0, 1), window[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
