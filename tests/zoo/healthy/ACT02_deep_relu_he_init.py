"""Nine plain ReLU layers without norm or skip, drawn with He's initialisation: the signal keeps
its scale by chance only, up to a factor of a few, which is enough."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(113)


def rings(count):
    x = torch.randn(count, 16)
    radius = x[:, :8].norm(dim=1) - x[:, 8:].norm(dim=1)
    return x, torch.bucketize(radius, torch.tensor([-0.45, 0.45]))


layers = [nn.Linear(16, 64, bias=False), nn.ReLU()]
for _ in range(8):
    layers += [nn.Linear(64, 64, bias=False), nn.ReLU()]
for layer in layers[::2]:
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
model = nn.Sequential(*layers, nn.Linear(64, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-4)

for step in range(450):
    x, label = rings(64)
    loss = F.cross_entropy(model(x), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step:3d}  loss {loss.item():.4f}")

model.eval()
with torch.no_grad():
    x, label = rings(1000)
    print(f"accuracy {(model(x).argmax(1) == label).float().mean().item():.3f}")
