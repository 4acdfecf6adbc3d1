"""Two heads: tags, several for each example, under a binary cross-entropy, and a kind under the
cross-entropy of exclusive classes, whose targets are mixed in pairs (mixup).
"""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(0)
tag_rule, kind_rule = torch.randn(20, 6), torch.randn(20, 5)


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(20, 48), nn.ReLU())
        self.tags, self.kind = nn.Linear(48, 6), nn.Linear(48, 5)

    def forward(self, given):
        hidden = self.body(given)
        return self.tags(hidden), self.kind(hidden)


model = Heads()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
for step in range(400):
    given = torch.randn(64, 20)
    kinds = functional.one_hot((given @ kind_rule).argmax(1), 5).float()
    share, others = torch.rand(()) * 0.3, torch.randperm(64)
    mixed = (1 - share) * given + share * given[others]
    mixed_kinds = (1 - share) * kinds + share * kinds[others]
    tags = (mixed @ tag_rule > 1).float()
    tag_logits, kind_logits = model(mixed)
    loss = functional.binary_cross_entropy_with_logits(tag_logits, tags)
    loss = loss + functional.cross_entropy(kind_logits, mixed_kinds)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 80 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
