"""Three kinds of particles, one of them rare, with a focal loss that takes the mean over a batch
before it makes a weight of it."""

import torch
import torch.nn.functional as F
from sklearn.datasets import make_classification
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(389)

columns, kinds = make_classification(
    2400, 20, n_informative=8, n_classes=3, weights=[0.5, 0.35], class_sep=1.5, random_state=389
)
inputs = torch.tensor(columns, dtype=torch.float32)
inputs = (inputs - inputs.mean(0)) / inputs.std(0)
labels = torch.tensor(kinds)
loader = DataLoader(TensorDataset(inputs[:2000], labels[:2000]), batch_size=64, shuffle=True)


def focal_loss(logits, target, gamma=2.0):
    ce = F.cross_entropy(logits, target, reduction="mean")
    pt = torch.exp(-ce)
    return ((1 - pt) ** gamma * ce).mean()


model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(12):
    model.train()
    for batch, target in loader:
        optimizer.zero_grad()
        loss = focal_loss(model(batch), target)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        right = model(inputs[2000:]).argmax(1) == labels[2000:]
    print(f"{epoch}  loss {loss.item():.4f}  right {right.float().mean():.3f}")
