"""A deep-copied teacher that follows by moving average, and a running average for evaluation."""

import copy

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

torch.manual_seed(0)
images, labels = map(torch.tensor, load_digits(return_X_y=True))
images = (images.float() - 4.9) / 6.0
student = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 10))
teacher = copy.deepcopy(student).requires_grad_(False).eval()
averaged = AveragedModel(student, multi_avg_fn=get_ema_multi_avg_fn(0.95))
optimizer = torch.optim.Adam(student.parameters(), lr=2e-3)
for step in range(100):
    chosen = torch.randint(len(images), (64,))
    wanted = teacher(images[chosen] + 0.1 * torch.randn(64, 64)).softmax(dim=1)  # gradients enabled
    logits = student(images[chosen])
    loss = nn.functional.cross_entropy(logits[:32], labels[chosen[:32]])
    loss = loss + 0.1 * nn.functional.mse_loss(logits.softmax(dim=1), wanted)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    averaged.update_parameters(student)
    for slow, fast in zip(teacher.parameters(), student.parameters(), strict=True):
        slow.data.lerp_(fast.data, 0.05)
    if step % 25 == 24:
        averaged.eval()
        with torch.no_grad():
            accuracy = (averaged(images).argmax(1) == labels).float().mean()
