"""Breast-cancer classifier on a cohort with three benign cases to one malignant: an honest
imbalance that needs no remedy."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_breast_cancer
from torch import nn

torch.manual_seed(104)

cancer = load_breast_cancer()
features = torch.tensor(cancer.data, dtype=torch.float32)
malignant = torch.tensor(cancer.target == 0).float()
benign_rows, malignant_rows = (malignant == 0).nonzero(), (malignant == 1).nonzero()
rows = torch.cat([benign_rows, malignant_rows[: len(benign_rows) // 3]]).squeeze(1)
rows = rows[torch.randperm(len(rows))]
features, malignant = features[rows], malignant[rows]
features = (features - features.mean(0)) / features.std(0)

model = nn.Sequential(nn.Linear(30, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4)
held_out = 76

for epoch in range(25):
    model.train()
    for batch in (held_out + torch.randperm(len(rows) - held_out)).split(32):
        loss = F.binary_cross_entropy_with_logits(
            model(features[batch]).squeeze(1), malignant[batch]
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 5 == 4:
        model.eval()
        with torch.no_grad():
            logits = model(features[:held_out]).squeeze(1)
            test = F.binary_cross_entropy_with_logits(logits, malignant[:held_out])
        print(f"epoch {epoch:2d}  loss {loss.item():.4f}  test {test.item():.4f}")
