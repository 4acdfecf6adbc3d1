"""A mean teacher: the average of the student's weights answers on unlabelled digits, with a dropout
of its own as in the paper (Tarvainen & Valpola 2017), and the student shall agree with it.
"""

import copy

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(42)
digits = load_digits()
pixels = torch.tensor(digits.data / 16.0, dtype=torch.float32)
pixels = (pixels - pixels.mean()) / pixels.std()
digit = torch.tensor(digits.target)
student = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 10))
teacher = copy.deepcopy(student).requires_grad_(False)
optimizer = torch.optim.Adam(student.parameters(), lr=1e-3)
for step in range(500):
    labelled, others = torch.randint(0, 400, (32,)), torch.randint(400, 1797, (96,))
    given = pixels[others]
    with torch.no_grad():
        wanted = teacher(given).softmax(1)
    agreement = F.mse_loss(student(given).softmax(1), wanted)
    loss = F.cross_entropy(student(pixels[labelled]), digit[labelled])
    loss = loss + min(1.0, step / 200) * agreement
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for average, weight in zip(teacher.parameters(), student.parameters(), strict=True):
            average.lerp_(weight, 0.01)
    if step % 100 == 0:
        print(f"step {step}  loss {loss.item():.3f}  agreement {agreement.item():.4f}")
