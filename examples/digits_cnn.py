"""Train a small CNN on scikit-learn's handwritten digits; `--fault` plants a classic mistake.

nntrace run examples/digits_cnn.py
nntrace run examples/digits_cnn.py --fault softmax
"""

import argparse

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

FAULTS = {
    "softmax": "softmax in the model, then cross-entropy, which applies it again",
    "no-zero-grad": "gradients are never cleared between steps",
    "frozen-trunk": "a stray detach: the convolutions never learn",
    "learning-rate": "a learning rate 300 times too high",
}


class DigitsCNN(nn.Module):
    """Two convolutions with batch norm, dropout, one linear head."""

    def __init__(self, fault: str | None = None) -> None:
        super().__init__()
        self.fault = fault
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(32)
        self.dropout = nn.Dropout(0.25)
        self.head = nn.Linear(32 * 2 * 2, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images [N, 1, 8, 8] to logits [N, 10]."""
        hidden = F.max_pool2d(F.relu(self.norm1(self.conv1(images))), 2)
        hidden = F.max_pool2d(F.relu(self.norm2(self.conv2(hidden))), 2)
        if self.fault == "frozen-trunk":
            hidden = hidden.detach()
        logits = self.head(self.dropout(hidden.flatten(1)))
        return logits.softmax(dim=1) if self.fault == "softmax" else logits


def load() -> tuple[TensorDataset, TensorDataset]:
    """Return training and test digits (80 : 20), scaled to zero mean and unit variance."""
    images, labels = load_digits(return_X_y=True)
    images = (images - images.mean()) / images.std()
    parts = train_test_split(images, labels, test_size=0.2, random_state=0, stratify=labels)
    tensors = [
        torch.tensor(part, dtype=torch.float32).reshape(-1, 1, 8, 8)
        if part.ndim == 2
        else torch.tensor(part, dtype=torch.long)
        for part in parts
    ]
    return TensorDataset(tensors[0], tensors[2]), TensorDataset(tensors[1], tensors[3])


def main() -> None:
    """Train, and print the test accuracy after every epoch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument(
        "--fault", choices=FAULTS, help="; ".join(f"{k}: {v}" for k, v in FAULTS.items())
    )
    options = parser.parse_args()

    torch.manual_seed(0)
    train_set, test_set = load()
    train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
    test_loader = DataLoader(test_set, batch_size=256)
    model = DigitsCNN(options.fault)
    lr = 1e-3 * (300 if options.fault == "learning-rate" else 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for epoch in range(options.epochs):
        model.train()
        for images, labels in train_loader:
            if options.fault != "no-zero-grad":
                optimizer.zero_grad()
            loss = F.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            correct = sum(
                int((model(images).argmax(dim=1) == labels).sum()) for images, labels in test_loader
            )
        accuracy = correct / len(test_set)
        print(f"epoch {epoch + 1}: loss {loss.item():.4f}, test accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
