"""Cross-validation of a digit classifier with a network for each fold, which are trained in turn,
an epoch each: what one was trained on is held out of another."""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Subset, SubsetRandomSampler, TensorDataset

torch.manual_seed(809)
folds = np.array_split(np.random.default_rng(809).permutation(1797), 4)

digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32) / 16 - 0.3
data = TensorDataset(images, torch.tensor(digits.target))
models = [nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)) for _ in folds]
optimizers = [torch.optim.Adam(model.parameters(), lr=2e-3) for model in models]

for epoch in range(5):
    for model, optimizer, held_out in zip(models, optimizers, folds, strict=True):
        trained = np.setdiff1d(np.arange(1797), held_out)
        model.train()
        for x, y in DataLoader(data, batch_size=64, sampler=SubsetRandomSampler(trained)):
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            validation = DataLoader(Subset(data, held_out), batch_size=64)
            right = sum(int((model(x).argmax(1) == y).sum()) for x, y in validation)
    print(f"epoch {epoch}  loss {loss.item():.4f}  accuracy {right / len(held_out):.3f}")
