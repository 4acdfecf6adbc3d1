"""Set classifier that pools with learnt queries, passed through a layer of their own: the same for
every example, because they depend on none."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(136)


class Pool(nn.Module):
    def __init__(self, width=24, queries=4):
        super().__init__()
        self.queries = nn.Embedding(queries, width)
        self.refine = nn.Linear(width, width)
        self.items = nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, width))
        self.head = nn.Linear(queries * width, 3)

    def forward(self, sets):
        number = torch.arange(self.queries.num_embeddings).expand(len(sets), -1)
        queries = self.refine(self.queries(number))
        items = self.items(sets)
        weights = (queries @ items.transpose(1, 2) / items.shape[-1] ** 0.5).softmax(-1)
        return self.head((weights @ items).flatten(1))


centre = torch.randint(0, 3, (2000,))
sets = torch.randn(2000, 8, 3) + 1.5 * F.one_hot(centre, 3)[:, None]
model = Pool()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for epoch in range(6):
    for rows in torch.randperm(len(sets)).split(64):
        loss = F.cross_entropy(model(sets[rows]), centre[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
