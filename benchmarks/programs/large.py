"""Takes a few steps of a model that is mostly one large tensor; prints the memory it took."""

import argparse
import json
import os
import resource
import statistics
from pathlib import Path

import torch
from torch import nn

SIZES = {"embedding": 262_144, "dense": 100_000}


class Words(nn.Module):
    """300 M parameters in bfloat16, 268 M of them an embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(SIZES["embedding"], 1024)
        wide = (nn.Linear(1024, 4096), nn.GELU(), nn.Linear(4096, 1024), nn.GELU())
        self.blocks = nn.Sequential(*wide, *(nn.Linear(1024, 1024) for _ in range(22)))
        self.head = nn.Linear(1024, 16)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Map [N, T] to [N, 16]."""
        return self.head(self.blocks(self.words(tokens)).mean(1))


def resident() -> int:
    """Return the bytes resident now; only on Linux."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("model", choices=list(SIZES))
parser.add_argument("--steps", type=int, default=12)
options = parser.parse_args()
torch.manual_seed(0)
model: nn.Module
if options.model == "embedding":
    model = Words().to(torch.bfloat16)
    inputs = torch.randint(SIZES["embedding"], (options.steps, 8, 32))
else:
    model = nn.Sequential(nn.Linear(1000, SIZES["dense"]), nn.ReLU(), nn.Linear(SIZES["dense"], 16))
    inputs = torch.randn(options.steps, 8, 1000)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
found = []
for batch in inputs:
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(batch), torch.arange(8)).backward()
    optimizer.step()
    found.append(resident())
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
count = sum(parameter.numel() for parameter in model.parameters())
print(json.dumps({"peak": peak, "resident": statistics.median(found[-5:]), "parameters": count}))
