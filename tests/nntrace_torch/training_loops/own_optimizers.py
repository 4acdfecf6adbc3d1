"""Optimizers that are not of torch.optim: Lion, and SAM, which steps another one inside."""

import torch
from sklearn.datasets import load_digits
from torch import nn


class Lion(torch.optim.Optimizer):
    def __init__(self, parameters, lr=3e-4, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(parameters, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                momentum = self.state[p].setdefault("momentum", torch.zeros_like(p))
                slow, fast = group["betas"]
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(momentum.lerp(p.grad, 1 - slow).sign_(), alpha=-group["lr"])
                momentum.lerp_(p.grad, 1 - fast)


class SAM(torch.optim.Optimizer):
    """Sharpness-aware minimisation: the gradient is taken a step uphill."""

    def __init__(self, parameters, base, rho=0.05, **options):
        super().__init__(parameters, {"rho": rho, **options})
        self.base = base(self.param_groups, **options)
        self.param_groups = self.base.param_groups

    @torch.no_grad()
    def first_step(self):
        norms = [p.grad.norm() for group in self.param_groups for p in group["params"]]
        scale = self.defaults["rho"] / (torch.stack(norms).norm() + 1e-12)
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["old"] = p.clone()
                p.add_(p.grad * scale)
        self.zero_grad()

    @torch.no_grad()
    def second_step(self):
        for group in self.param_groups:
            for p in group["params"]:
                p.copy_(self.state[p]["old"])
        self.base.step()
        self.zero_grad()


torch.manual_seed(0)
images, labels = map(torch.tensor, load_digits(return_X_y=True))
images = (images.float() - 4.9) / 6.0
first = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
lion = Lion(first.parameters())
second = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
sam = SAM(second.parameters(), torch.optim.SGD, lr=0.05, momentum=0.9)
for _ in range(80):
    chosen = torch.randint(len(images), (64,))
    loss = nn.functional.cross_entropy(first(images[chosen]), labels[chosen])
    lion.zero_grad()
    loss.backward()
    lion.step()
for _ in range(80):
    chosen = torch.randint(len(images), (64,))
    nn.functional.cross_entropy(second(images[chosen]), labels[chosen]).backward()
    sam.first_step()
    nn.functional.cross_entropy(second(images[chosen]), labels[chosen]).backward()
    sam.second_step()
