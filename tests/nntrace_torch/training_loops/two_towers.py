"""One optimizer over two models: an encoder and a decoder that are separate modules."""

import itertools

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(0)
images = (torch.tensor(load_digits().data).float() - 4.9) / 6.0


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 64), nn.ReLU())
        self.mean, self.log_variance = nn.Linear(64, 8), nn.Linear(64, 8)

    def forward(self, x):
        hidden = self.body(x)
        return self.mean(hidden), self.log_variance(hidden)


encoder = Encoder()
decoder = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64))
optimizer = torch.optim.Adam(itertools.chain(encoder.parameters(), decoder.parameters()), lr=2e-3)
for _ in range(80):
    batch = images[torch.randint(len(images), (64,))]
    mean, log_variance = encoder(batch)
    code = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
    likelihood = nn.functional.mse_loss(decoder(code), batch)
    divergence = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).mean()
    loss = likelihood + 0.01 * divergence
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
