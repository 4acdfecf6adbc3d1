"""Federated averaging: in each round copies of the model are trained for some ten steps by parties
with data of their own, each by its own optimizer, and the model becomes the mean of the copies."""

import copy

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(0)

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)
images = (images - images.mean()) / images.std()
train, held_out = random_split(TensorDataset(images, torch.tensor(digits.target)), [1440, 357])
parties = random_split(train, [180] * 8)

model = nn.Sequential(
    *(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Dropout2d(0.2), nn.MaxPool2d(2)),
    *(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
    *(nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 10)),
)

for round_number in range(8):
    states = []
    for party in torch.randperm(8)[:3].tolist():
        copied = copy.deepcopy(model).train()
        optimizer = torch.optim.SGD(copied.parameters(), lr=0.03, momentum=0.5)
        for _ in range(3):
            for batch, labels in DataLoader(parties[party], batch_size=16, shuffle=True):
                optimizer.zero_grad()
                loss = F.cross_entropy(copied(batch), labels)
                loss.backward()
                optimizer.step()
        states.append(copied.state_dict())
    model.load_state_dict({k: sum(state[k] for state in states) / 3 for k in states[0]})
    model.eval()
    with torch.no_grad():
        batches = DataLoader(held_out, batch_size=357)
        right = sum((model(batch).argmax(1) == labels).sum().item() for batch, labels in batches)
    print(f"round {round_number}  loss {loss.item():.3f}  accuracy {right / 357:.3f}")
