"""No optimizer, no module: the gradients are asked for, and each step makes new weights."""

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(0)
rule = torch.randn(4, 3)
weights = [torch.randn(4, 16) / 2, torch.zeros(16), torch.randn(16, 3) / 4, torch.zeros(3)]
weights = [weight.requires_grad_() for weight in weights]
speeds = [torch.zeros_like(weight) for weight in weights]
for _ in range(80):
    x = torch.randn(32, 4)
    first, shift, second, offset = weights
    logits = (x @ first + shift).tanh() @ second + offset
    loss = functional.cross_entropy(logits, (x @ rule).argmax(1))
    gradients = torch.autograd.grad(loss, weights)
    speeds = [0.9 * speed + gradient for speed, gradient in zip(speeds, gradients, strict=True)]
    weights = [
        (weight - 0.05 * speed).detach().requires_grad_()
        for weight, speed in zip(weights, speeds, strict=True)
    ]
trained = nn.ParameterList(weights)
