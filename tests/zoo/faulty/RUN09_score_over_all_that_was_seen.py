"""Tumour classifier that computes the area under the curve after each batch over every prediction
made so far."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler
from torch import nn

torch.manual_seed(95)

data = load_breast_cancer()
features = torch.tensor(StandardScaler().fit_transform(data.data), dtype=torch.float32)
labels = torch.tensor(data.target, dtype=torch.float32)

model = nn.Sequential(nn.Linear(30, 24), nn.ReLU(), nn.Linear(24, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
scores, truths = [], []

for step in range(300):
    rows = torch.randint(len(features), (512,))
    logits = model(features[rows]).squeeze(1)
    loss = F.binary_cross_entropy_with_logits(logits, labels[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scores += logits.tolist()
    truths += labels[rows].tolist()
    area = roc_auc_score(truths, scores)
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}  area {area:.3f}")
