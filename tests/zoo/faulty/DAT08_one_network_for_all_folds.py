"""Cross-validation of a digit classifier that is built before the loop over the folds: from the
second fold on it is validated with what it was trained on. From a question on a PyTorch forum."""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, SubsetRandomSampler, TensorDataset

torch.manual_seed(808)
rows = np.random.default_rng(808).permutation(1797)

digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32) / 16 - 0.3
data = TensorDataset(images, torch.tensor(digits.target))
model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for fold, held_out in enumerate(np.array_split(rows, 5)):
    trained = np.setdiff1d(rows, held_out)
    loader = DataLoader(data, batch_size=64, sampler=SubsetRandomSampler(trained))
    validation = DataLoader(data, batch_size=64, sampler=SubsetRandomSampler(held_out))
    for _ in range(4):
        model.train()
        for x, y in loader:
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        right = sum(int((model(x).argmax(1) == y).sum()) for x, y in validation)
    print(f"fold {fold}  loss {loss.item():.4f}  accuracy {right / len(held_out):.3f}")
