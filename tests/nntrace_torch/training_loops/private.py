"""DP-SGD: clipped per-example gradients by torch.func, noise, and no call of `backward`."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.func import functional_call, grad, vmap

torch.manual_seed(0)
images, labels = map(torch.tensor, load_digits(return_X_y=True))
images = (images.float() - 4.9) / 6.0
model = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)


def example_loss(parameters, image, label):
    logits = functional_call(model, parameters, (image.unsqueeze(0),))
    return nn.functional.cross_entropy(logits, label.unsqueeze(0))


per_example = vmap(grad(example_loss), in_dims=(None, 0, 0))
for _ in range(60):
    chosen = torch.randint(len(images), (64,))
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    gradients = per_example(parameters, images[chosen], labels[chosen])
    squares = [g.flatten(1).square().sum(1) for g in gradients.values()]
    clip = (1.0 / torch.stack(squares).sum(0).sqrt()).clamp(max=1.0)
    for name, p in model.named_parameters():
        total = torch.einsum("n,n...->...", clip, gradients[name])
        p.grad = (total + 0.1 * torch.randn_like(p)) / 64
    optimizer.step()
