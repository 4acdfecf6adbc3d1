"""Digit classifier on top of a projection computed by PCA and frozen: `requires_grad_(False)` on
the first layer, which therefore never has a gradient."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(119)


def projection(data, size):
    """Linear layer that whitens `data` onto its first `size` principal components."""
    pca = PCA(size, whiten=True).fit(data)
    weight = pca.components_ / pca.explained_variance_[:, None] ** 0.5
    layer = nn.Linear(data.shape[1], size)
    layer.load_state_dict(
        {
            "weight": torch.tensor(weight, dtype=torch.float32),
            "bias": torch.tensor(-weight @ pca.mean_, dtype=torch.float32),
        }
    )
    return layer.requires_grad_(False)


class Classifier(nn.Module):
    def __init__(self, trunk, size):
        super().__init__()
        self.trunk = trunk
        self.hidden = nn.Linear(size, 96)
        self.head = nn.Linear(96, 10)

    def forward(self, x):
        return self.head(F.relu(self.hidden(self.trunk(x))))


digits = load_digits()
images = (digits.data - digits.data.mean()) / digits.data.std()
x, x_test, y, y_test = train_test_split(images, digits.target, test_size=0.2, random_state=0)
model = Classifier(projection(x, 24), 24)
x, x_test = torch.tensor(x).float(), torch.tensor(x_test).float()
y, y_test = torch.tensor(y), torch.tensor(y_test)
loader = DataLoader(TensorDataset(x, y), batch_size=48, shuffle=True)

trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
optimizer = torch.optim.AdamW(trainable, lr=1e-3)

for epoch in range(12):
    model.train()
    for batch, labels in loader:
        loss = F.cross_entropy(model(batch), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        accuracy = (model(x_test).argmax(1) == y_test).float().mean().item()
    print(f"epoch {epoch:2d}  loss {loss.item():.4f}  test accuracy {accuracy:.3f}")
