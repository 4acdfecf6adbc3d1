"""Graph network on a citation graph whose gradient is clipped to `lr`, 0.005, where another option,
`clip`, was meant: each step has the same tiny length."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(117)
OPTIONS = {"lr": 0.005, "clip": 5.0, "epochs": 200}
PAPERS, FIELDS = 300, 4

field = torch.randint(FIELDS, (PAPERS,))
likely = torch.where(field[:, None] == field[None, :], 0.05, 0.004)
cites = (torch.rand(PAPERS, PAPERS) < likely).float()
links = cites + cites.T + torch.eye(PAPERS)
links = links / links.sum(dim=1, keepdim=True)
words = torch.randn(PAPERS, 20) + torch.randn(FIELDS, 20)[field]


class CitationNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(20, 32)
        self.field = nn.Linear(32, FIELDS)

    def forward(self, x):
        return links @ self.field(F.relu(links @ self.hidden(x)))


model = CitationNet()
optimizer = torch.optim.SGD(model.parameters(), lr=OPTIONS["lr"], momentum=0.9)

for epoch in range(OPTIONS["epochs"]):
    loss = F.cross_entropy(model(words), field)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), OPTIONS["lr"])
    optimizer.step()
    if epoch % 20 == 0:
        print(f"epoch {epoch:3d}  loss {loss.item():.4f}")
