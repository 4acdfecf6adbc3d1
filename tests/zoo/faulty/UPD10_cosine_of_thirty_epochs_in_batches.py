"""Regression of the progress of diabetes whose cosine over thirty epochs is stepped after each of
the ten batches of an epoch: the rate goes up and down all the time."""

import torch
from sklearn.datasets import load_diabetes
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

EPOCHS = 30

torch.manual_seed(302)

table, progress = load_diabetes(return_X_y=True)
features = torch.tensor(table, dtype=torch.float32)
features = (features - features.mean(0)) / features.std(0)
targets = torch.tensor(progress, dtype=torch.float32).unsqueeze(1)
targets = (targets - targets.mean()) / targets.std()
loader = DataLoader(TensorDataset(features[:400], targets[:400]), batch_size=40, shuffle=True)

model = nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=EPOCHS)

for epoch in range(EPOCHS):
    for batch, target in loader:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(batch), target)
        loss.backward()
        optimizer.step()
        schedule.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}  rate {schedule.get_last_lr()[0]:.2g}")
