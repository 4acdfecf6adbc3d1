"""A 6-layer GPT (width 256, 8 heads, 128 tokens) on random batches."""

import torch
from timing import measure
from torch import nn
from torch.nn import functional as F

VOCABULARY, WIDTH, HEADS, LAYERS, TOKENS, BATCH = 512, 256, 8, 6, 128, 4


class Block(nn.Module):
    """Attention and an MLP, each after a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.project = nn.Linear(WIDTH, WIDTH)
        self.norm2 = nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [N, T, D] to [N, T, D]."""
        n, t, d = x.shape
        q, k, v = (
            part.view(n, t, HEADS, d // HEADS).transpose(1, 2)
            for part in self.qkv(self.norm1(x)).split(d, dim=2)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.project(y.transpose(1, 2).reshape(n, t, d))
        return x + self.mlp(self.norm2(x))


class GPT(nn.Module):
    """Maps token ids to logits."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.positions = nn.Embedding(TOKENS, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Map [N, T] to [N, T, V]."""
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1]))
        return self.head(self.norm(self.blocks(x)))


torch.manual_seed(0)
model = GPT()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
data = torch.randint(0, VOCABULARY, (4, BATCH, TOKENS + 1))
batch = 0


def step() -> None:
    """Take a training step on the next of four random batches."""
    global batch
    batch = (batch + 1) % 4
    optimizer.zero_grad()
    logits = model(data[batch, :, :-1])
    F.cross_entropy(logits.reshape(-1, VOCABULARY), data[batch, :, 1:].reshape(-1)).backward()
    optimizer.step()


if __name__ == "__main__":
    measure(step, default_steps=300)
