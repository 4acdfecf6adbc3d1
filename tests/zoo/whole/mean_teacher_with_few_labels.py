"""Semi-supervised digits: a student learns 200 labels and agrees with a slowly moving average of
itself on all images."""

import copy

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(309)

digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32)
x = (x - x.mean()) / x.std()
y = torch.tensor(digits.target)

student = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Dropout(0.2), nn.Linear(96, 10))
teacher = copy.deepcopy(student).requires_grad_(False).eval()
optimizer = torch.optim.Adam(student.parameters(), lr=2e-3)

for step in range(250):
    known, every = torch.randint(200, (32,)), torch.randint(1400, (96,))
    loss = F.cross_entropy(student(x[known]), y[known])
    with torch.no_grad():
        wanted = teacher(x[every] + 0.1 * torch.randn(96, 64)).softmax(1)
    agreed = student(x[every] + 0.1 * torch.randn(96, 64)).softmax(1)
    loss = loss + min(1.0, step / 100) * F.mse_loss(agreed, wanted)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for slow, fast in zip(teacher.parameters(), student.parameters(), strict=True):
            slow.lerp_(fast, 0.02)
    if step % 50 == 49:
        right = (teacher(x[1400:]).argmax(1) == y[1400:]).float().mean()
        print(f"step {step}  loss {loss.item():.4f}  accuracy {right:.3f}")
