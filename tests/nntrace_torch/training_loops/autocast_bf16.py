"""bf16 autocast on the CPU, as nanoGPT does it: float32 weights, bf16 activations."""

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(0)
images, labels = map(torch.tensor, load_digits(return_X_y=True))
images = ((images.float() - 4.9) / 6.0).view(-1, 1, 8, 8)
model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Dropout(0.1),
    nn.Linear(256, 10),
)
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, foreach=True)
for _ in range(80):
    chosen = torch.randint(len(images), (64,))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = nn.functional.cross_entropy(model(images[chosen]), labels[chosen])
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
