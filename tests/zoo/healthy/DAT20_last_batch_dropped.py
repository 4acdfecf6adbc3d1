"""Digit classifier whose loader drops the last, smaller batch, and whose dictionary batches come
from workers that stay: each epoch misses a few examples, other ones each time."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(6)


class Digits(Dataset):
    def __init__(self):
        digits = load_digits()
        images = torch.tensor(digits.data, dtype=torch.float32)
        self.images = (images - images.mean()) / images.std()
        self.labels = torch.tensor(digits.target)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return {"image": self.images[index], "label": self.labels[index]}


def main():
    loader = DataLoader(
        Digits(),
        batch_size=64,
        shuffle=True,
        drop_last=True,
        num_workers=1,
        persistent_workers=True,
    )
    model = nn.Sequential(
        nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 48), nn.ReLU(), nn.Linear(48, 10)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)
    for epoch in range(10):
        for batch in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(batch["image"]), batch["label"])
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch:2d}  loss {loss.item():.4f}")


if __name__ == "__main__":
    main()
