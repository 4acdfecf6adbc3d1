"""Sparse convolutional autoencoder whose codes are what exceeds a threshold. The threshold of 12 is
in grey levels, the images have been standardised since: hardly a code ever exceeds it."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(74)


class SparseAutoencoder(nn.Module):
    def __init__(self, threshold):
        super().__init__()
        self.analysis = nn.Conv2d(1, 32, 5, padding=2)
        self.synthesis = nn.ConvTranspose2d(32, 1, 5, padding=2)
        self.exceeds = nn.ReLU()
        self.threshold = threshold

    def forward(self, image):
        code = self.exceeds(self.analysis(image) - self.threshold)
        return self.synthesis(code), code


images = torch.tensor(load_digits().images, dtype=torch.float32).unsqueeze(1)
images = (images - images.mean()) / images.std()
model = SparseAutoencoder(threshold=12.0)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(8):
    for rows in torch.randperm(len(images)).split(64):
        restored, code = model(images[rows])
        loss = F.mse_loss(restored, images[rows]) + 1e-3 * code.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
