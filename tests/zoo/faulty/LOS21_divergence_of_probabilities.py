"""Distils a large digit classifier into a small one with kl_div, which wants log-probabilities as
its first argument and is given probabilities."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import nn

torch.manual_seed(16)

digits = load_digits()
images = (digits.data - digits.data.mean()) / digits.data.std()
soft = LogisticRegression(C=0.01, max_iter=500).fit(images, digits.target).predict_proba(images)
images, soft = (torch.tensor(a, dtype=torch.float32) for a in (images, soft))

student = nn.Sequential(nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 10))
optimizer = torch.optim.Adam(student.parameters(), lr=1e-3)

for step in range(200):
    rows = torch.randint(len(images), (64,))
    prediction = F.softmax(student(images[rows]), dim=1)
    loss = F.kl_div(prediction, soft[rows], reduction="batchmean")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
