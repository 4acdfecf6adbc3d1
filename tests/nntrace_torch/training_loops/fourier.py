"""A Fourier layer: complex parameters, activations and gradients between real ones."""

import torch
from torch import nn

torch.manual_seed(0)


class Spectral(nn.Module):
    def __init__(self, width, modes):
        super().__init__()
        self.modes = modes
        self.weight = nn.Parameter(torch.randn(width, width, modes, dtype=torch.cfloat) / width)

    def forward(self, x):
        spectrum = torch.fft.rfft(x)
        low = torch.einsum("bim,iom->bom", spectrum[..., : self.modes], self.weight)
        return torch.fft.irfft(low, n=x.shape[-1])


class Rotate(nn.Module):
    """Returns a complex tensor."""

    def __init__(self):
        super().__init__()
        self.phase = nn.Parameter(torch.full((8, 1), 0.3))  # at 0 the cosine has no slope

    def forward(self, x):
        return torch.polar(torch.ones_like(x), self.phase + 0 * x) * x


class Operator(nn.Module):
    def __init__(self):
        super().__init__()
        self.lift, self.spectral, self.skip = nn.Conv1d(1, 8, 1), Spectral(8, 6), nn.Conv1d(8, 8, 1)
        self.rotate, self.project = Rotate(), nn.Conv1d(8, 1, 1)

    def forward(self, x):
        hidden = self.lift(x)
        hidden = nn.functional.gelu(self.spectral(hidden) + self.skip(hidden))
        return self.project(self.rotate(hidden).real)


model = Operator()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
grid = torch.linspace(0, 1, 33)[:-1]
for _ in range(120):
    amplitude = torch.randn(32, 4, 1)
    waves = torch.stack([torch.sin(2 * torch.pi * k * grid) for k in range(1, 5)])
    function = (amplitude * waves).sum(1, keepdim=True)
    shifted = function.roll(4, dims=-1)
    loss = nn.functional.mse_loss(model(function), shifted)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
