"""Sparse embedding gradients with SparseAdam, the rest with Adam; a sparse input matrix."""

import torch
from torch import nn

torch.manual_seed(0)


class Recommender(nn.Module):
    def __init__(self, users, items):
        super().__init__()
        self.user = nn.Embedding(users, 8, sparse=True)
        self.bag = nn.EmbeddingBag(items, 8, sparse=True)
        self.graph = nn.Parameter(torch.randn(8, 8) / 3)
        self.head = nn.Linear(8, 1)

    def forward(self, users, items, links):
        mixed = torch.sparse.mm(links, self.user(users)) @ self.graph
        return self.head(torch.tanh(mixed + self.bag(items))).squeeze(1)


model = Recommender(200, 50)
embeddings = [*model.user.parameters(), *model.bag.parameters()]
rest = [model.graph, *model.head.parameters()]
sparse_optimizer = torch.optim.SparseAdam(embeddings, lr=3e-2)
dense_optimizer = torch.optim.Adam(rest, lr=3e-3)
taste = torch.randn(50)
for _ in range(150):
    users, items = torch.randint(200, (64,)), torch.randint(50, (64, 5))
    diagonal = torch.arange(64).repeat(2, 1)
    links = torch.sparse_coo_tensor(diagonal, torch.ones(64), (64, 64), check_invariants=False)
    liked = (taste[items].mean(dim=1) > taste.mean()).float()
    loss = nn.functional.binary_cross_entropy_with_logits(model(users, items, links), liked)
    sparse_optimizer.zero_grad()
    dense_optimizer.zero_grad()
    loss.backward()
    sparse_optimizer.step()
    dense_optimizer.step()
