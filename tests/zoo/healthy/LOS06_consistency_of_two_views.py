"""Mean teacher (Tarvainen & Valpola 2017) on digits of which a few have labels: cross-entropy on
those, and the squared error between the softmax of student and teacher, whose targets are soft."""

import copy

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(11)

digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32)
images = (images - images.mean()) / images.std()
labels = torch.tensor(digits.target)
labelled = torch.randperm(len(images))[:300]

student = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
teacher = copy.deepcopy(student).requires_grad_(False)
optimizer = torch.optim.Adam(student.parameters(), lr=1e-3)

for step in range(300):
    some = labelled[torch.randint(300, (32,))]
    every = torch.randint(len(images), (64,))
    loss = F.cross_entropy(student(images[some] + 0.1 * torch.randn(32, 64)), labels[some])
    with torch.no_grad():
        wanted = teacher(images[every] + 0.3 * torch.randn(64, 64)).softmax(1)
    view = student(images[every] + 0.3 * torch.randn(64, 64)).softmax(1)
    weight = min(1.0, step / 100) * 5
    loss = loss + weight * F.mse_loss(view, wanted)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for mean, parameter in zip(teacher.parameters(), student.parameters(), strict=True):
            mean.lerp_(parameter, 0.02)
    if step % 60 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
