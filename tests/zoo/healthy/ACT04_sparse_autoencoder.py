"""Overcomplete sparse autoencoder on digits: on one image most of its ReLU units are silent, over
the data set every one of them has its turn."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(115)


class SparseAutoencoder(nn.Module):
    def __init__(self, inputs=64, code=256):
        super().__init__()
        self.encoder = nn.Linear(inputs, code)
        self.activation = nn.ReLU()
        self.decoder = nn.Linear(code, inputs)
        nn.init.kaiming_normal_(self.encoder.weight, nonlinearity="relu")
        nn.init.constant_(self.encoder.bias, -1.0)

    def forward(self, x):
        code = self.activation(self.encoder(x))
        return self.decoder(code), code


digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32)
images = (images - images.mean()) / images.std()
images = images - images.mean(0)
loader = DataLoader(TensorDataset(images), batch_size=64, shuffle=True)

model = SparseAutoencoder()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(25):
    for (batch,) in loader:
        decoded, code = model(batch)
        loss = F.mse_loss(decoded, batch) + 0.3 * code.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 3 == 0:
        active = (code > 0).float().mean().item()
        print(f"epoch {epoch:2d}  loss {loss.item():.4f}  active {active:.3f}")
