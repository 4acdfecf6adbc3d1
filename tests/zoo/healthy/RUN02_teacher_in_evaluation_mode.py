"""A small reader of digits learns from a large one that was trained before, and that answers in
evaluation mode.
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(41)
digits = load_digits()
pixels = torch.tensor(digits.images / 16.0, dtype=torch.float32)[:, None]
pixels = (pixels - pixels.mean()) / pixels.std()
loader = DataLoader(
    TensorDataset(pixels, torch.tensor(digits.target)), 64, shuffle=True, drop_last=True
)


def reader(width):
    return nn.Sequential(
        *(nn.Conv2d(1, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
        *(nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.5), nn.Linear(16 * width, 10)),
    )


teacher = reader(32)
optimizer = torch.optim.Adam(teacher.parameters(), lr=2e-3)
for _ in range(3):
    for image, digit in loader:
        optimizer.zero_grad()
        F.cross_entropy(teacher(image), digit).backward()
        optimizer.step()

teacher.eval()
student, temperature = reader(8), 4.0
optimizer = torch.optim.Adam(student.parameters(), lr=2e-3)
for epoch in range(8):
    for image, digit in loader:
        with torch.no_grad():
            wanted = F.softmax(teacher(image) / temperature, 1)
        answer = student(image)
        soft = F.kl_div(F.log_softmax(answer / temperature, 1), wanted, reduction="batchmean")
        loss = 0.3 * F.cross_entropy(answer, digit) + 0.7 * temperature**2 * soft
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.3f}")
