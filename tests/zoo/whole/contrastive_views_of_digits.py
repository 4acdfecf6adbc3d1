"""SimCLR in small: two noisy views of each digit find each other; then a linear probe."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(301)

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
images = (images - images.mean()) / images.std()
labels = torch.tensor(digits.target)

encoder = nn.Sequential(
    *(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
    *(nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.Flatten()),
    nn.Linear(512, 64),
)
projector = nn.Sequential(nn.ReLU(), nn.Linear(64, 32))
model = nn.Sequential(encoder, projector)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)


def view(x):
    shift = [int(s) for s in torch.randint(-1, 2, (2,))]
    return torch.roll(x, shift, (2, 3)) + 0.3 * torch.randn_like(x)


for step in range(150):
    rows = torch.randint(len(images), (96,))
    both = F.normalize(model(torch.cat([view(images[rows]), view(images[rows])])), dim=1)
    scores = both @ both.T / 0.2
    scores.fill_diagonal_(-1e9)
    loss = F.cross_entropy(scores, torch.arange(192).roll(96))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(f"step {step}  loss {loss.item():.4f}")

model.eval()
with torch.no_grad():
    codes = encoder(images)
codes = (codes - codes.mean(0)) / codes.std(0)
probe = nn.Linear(64, 10)
optimizer = torch.optim.Adam(probe.parameters(), lr=1e-2)
for _ in range(100):
    rows = torch.randint(1400, (128,))
    loss = F.cross_entropy(probe(codes[rows]), labels[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"accuracy {(probe(codes[1400:]).argmax(1) == labels[1400:]).float().mean():.3f}")
