"""Segments ellipses, the leaves on a dark table; picture and mask are flipped by one draw, in both
directions."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(7)
GRID = torch.stack(torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij"))


class Leaves(Dataset):
    def __init__(self, count):
        centre = torch.rand(count, 2, 1, 1) * 22 + 5
        axes = torch.rand(count, 2, 1, 1) * 4 + 2
        self.masks = (((GRID - centre) / axes).square().sum(1) < 1).long()
        light = 0.4 + 0.4 * torch.rand(count, 1, 1)
        self.pictures = (light * self.masks + 0.15 * torch.randn(count, 32, 32)).unsqueeze(1)

    def __len__(self):
        return len(self.masks)

    def __getitem__(self, index):
        picture, mask = self.pictures[index], self.masks[index]
        if torch.rand(()) < 0.5:
            picture, mask = picture.flip(-1), mask.flip(-1)
        if torch.rand(()) < 0.5:
            picture, mask = picture.flip(-2), mask.flip(-2)
        return picture, mask


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fine = nn.Sequential(nn.Conv2d(1, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU())
        self.coarse = nn.Sequential(
            nn.MaxPool2d(2), nn.Conv2d(12, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU()
        )
        self.head = nn.Conv2d(36, 2, 3, padding=1)

    def forward(self, picture):
        fine = self.fine(picture)
        coarse = F.interpolate(self.coarse(fine), scale_factor=2)
        return self.head(torch.cat([fine, coarse], 1))


net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
loader = DataLoader(Leaves(512), batch_size=32, shuffle=True)
for epoch in range(10):
    for picture, mask in loader:
        loss = F.cross_entropy(net(picture), mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}  loss {loss.item():.4f}")
