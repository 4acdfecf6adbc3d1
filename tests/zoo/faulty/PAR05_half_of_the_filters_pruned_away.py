"""Sound classifier whose filters are pruned by their norm before training rather than after it, a
script's two commands in the wrong order: half of them are zero, and a mask keeps them so."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import prune

torch.manual_seed(153)


class Sounds(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Conv1d(1, 32, 9, stride=2)
        self.two = nn.Conv1d(32, 32, 5, stride=2)
        self.out = nn.Linear(32, 4)

    def forward(self, sound):
        return self.out(F.gelu(self.two(F.gelu(self.one(sound)))).mean(dim=2))


def sounds(count):
    kind = torch.randint(4, (count,))
    time = torch.arange(128) / 128
    pitch = (6 + 7 * kind + torch.randn(count)).unsqueeze(1)
    wave = (6.28 * pitch * time + 6.28 * torch.rand(count, 1)).sin()
    return (wave + 0.5 * torch.randn(count, 128)).unsqueeze(1), kind


model = Sounds()
for layer in (model.one, model.two):
    prune.ln_structured(layer, "weight", amount=0.5, n=2, dim=0)
    prune.remove(layer, "weight")
    kept = (layer.weight != 0).float()
    layer.weight.register_hook(kept.mul)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

for step in range(200):
    sound, kind = sounds(32)
    loss = F.cross_entropy(model(sound), kind)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")
