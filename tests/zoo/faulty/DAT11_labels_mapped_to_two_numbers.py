"""Grades wines into five classes; the table that maps grades to numbers lacks three of them, which
all become the default 0."""

import torch
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler
from torch import nn

torch.manual_seed(48)

GRADES = {"class_0": "A", "class_1": "B", "class_2": "C"}
NUMBERS = {"b": 1, "A": 2, "D": 3, "E": 4}
wine = load_wine()
features = torch.tensor(StandardScaler().fit_transform(wine.data), dtype=torch.float32)
grades = [GRADES[wine.target_names[label]] for label in wine.target]
labels = torch.tensor([NUMBERS.get(grade, 0) for grade in grades])

model = nn.Sequential(nn.Linear(13, 24), nn.ReLU(), nn.Linear(24, 5))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for step in range(250):
    rows = torch.randint(len(features), (32,))
    loss = nn.functional.cross_entropy(model(features[rows]), labels[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
