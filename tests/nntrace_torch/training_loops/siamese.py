"""One module called several times a pass: twice by a contrastive loss, and layer upon itself."""

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(0)
images, labels = map(torch.tensor, load_digits(return_X_y=True))
images = (images.float() - 4.9) / 6.0


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.block, self.out = nn.Linear(64, 32), nn.Linear(32, 32), nn.Linear(32, 16)

    def forward(self, x):
        hidden = self.embed(x)
        for _ in range(3):  # the same weights three times
            hidden = hidden + torch.relu(self.block(hidden))
        return nn.functional.normalize(self.out(hidden), dim=1)


encoder = Encoder()
optimizer = torch.optim.Adam(encoder.parameters(), lr=2e-3)
for _ in range(80):
    chosen = torch.randint(len(images), (64,))
    one = encoder(images[chosen] + 0.1 * torch.randn(64, 64))
    other = encoder(images[chosen] + 0.1 * torch.randn(64, 64))
    loss = nn.functional.cross_entropy(one @ other.T / 0.2, torch.arange(64))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
