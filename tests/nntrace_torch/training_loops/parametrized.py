"""Weight norm, spectral norm and an orthogonal layer; a penalty reads the weights in between."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.utils import parametrizations

torch.manual_seed(0)
images, labels = map(torch.tensor, load_digits(return_X_y=True))
images = (images.float() - 4.9) / 6.0
model = nn.Sequential(
    parametrizations.weight_norm(nn.Linear(64, 48)),
    nn.ReLU(),
    parametrizations.spectral_norm(nn.Linear(48, 48)),
    nn.ReLU(),
    parametrizations.orthogonal(nn.Linear(48, 48)),
    nn.ReLU(),
    nn.Linear(48, 10),
)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for _ in range(100):
    chosen = torch.randint(len(images), (64,))
    loss = nn.functional.cross_entropy(model(images[chosen]), labels[chosen])
    loss = loss + 1e-4 * model[0].weight.square().sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
