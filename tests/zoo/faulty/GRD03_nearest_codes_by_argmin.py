"""Vector-quantised autoencoder of digits. The decoder gets the nearest code of the book, chosen by
`argmin`; the straight-through line that hands the gradient on to the encoder is missing."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(113)


class Quantised(nn.Module):
    def __init__(self, codes=32, width=12):
        super().__init__()
        self.encode = nn.Sequential(
            nn.Conv2d(1, 24, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(24, width, 1)
        )
        self.book = nn.Embedding(codes, width)
        self.decode = nn.Sequential(
            nn.ConvTranspose2d(width, 24, 4, stride=2, padding=1), nn.ReLU(), nn.Conv2d(24, 1, 1)
        )

    def forward(self, image):
        found = self.encode(image).permute(0, 2, 3, 1)
        distance = torch.cdist(found.flatten(0, 2), self.book.weight)
        code = self.book(distance.argmin(dim=1)).view(found.shape)
        return self.decode(code.permute(0, 3, 1, 2))


images = torch.tensor(load_digits().images, dtype=torch.float32).unsqueeze(1)
images = (images - images.mean()) / images.std()
model = Quantised()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

for epoch in range(8):
    for rows in torch.randperm(len(images)).split(64):
        loss = F.mse_loss(model(images[rows]), images[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
