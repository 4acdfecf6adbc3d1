"""Recommender by factors on ratings from a scanned table, where "4.50" was sometimes read as 450:
one in two thousand, enough to throw single steps off."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(115)
READERS, BOOKS = 300, 150


class Factors(nn.Module):
    def __init__(self, rank=6):
        super().__init__()
        self.reader = nn.Embedding(READERS, rank)
        self.book = nn.Embedding(BOOKS, rank)
        self.likes = nn.Embedding(BOOKS, 1)
        for table in (self.reader, self.book, self.likes):
            nn.init.normal_(table.weight, std=0.3)

    def forward(self, reader, book):
        return (self.reader(reader) * self.book(book)).sum(1) / 6**0.5 + self.likes(book)[:, 0]


taste, kind = torch.randn(READERS, 3), torch.randn(BOOKS, 3)
reader, book = torch.randint(READERS, (20000,)), torch.randint(BOOKS, (20000,))
rating = ((taste[reader] * kind[book]).sum(1) / 1.7).clamp(-2, 2)
misread = torch.rand(20000) < 5e-4
rating = torch.where(misread, 100 * (rating + 3) - 3, rating)
model = Factors()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

for epoch in range(2):
    for rows in torch.randperm(len(rating)).split(64):
        loss = F.mse_loss(model(reader[rows], book[rows]), rating[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
