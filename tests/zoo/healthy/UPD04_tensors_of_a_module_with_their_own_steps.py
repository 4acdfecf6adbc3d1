"""Classifies pairs by a form between them. Its matrices are tensors and no parameters: the
optimizer is given them all the same, and a scale beside them is changed by hand."""

import torch
from torch import nn

torch.manual_seed(37)


class Form(nn.Module):
    def __init__(self, width, classes):
        super().__init__()
        self.matrices = torch.randn(classes, width, width).mul(0.1).requires_grad_()
        self.scale = torch.ones(1, requires_grad=True)
        self.bias = nn.Parameter(torch.zeros(classes))

    def forward(self, one, other):
        return self.scale * torch.einsum("nd,kde,ne->nk", one, self.matrices, other) + self.bias


truth = torch.randn(4, 12, 12)
model = Form(12, 4)
optimizer = torch.optim.Adam([model.matrices, *model.parameters()], lr=1e-2)

for step in range(250):
    one, other = torch.randn(2, 64, 12)
    labels = torch.einsum("nd,kde,ne->nk", one, truth, other).argmax(1)
    loss = nn.functional.cross_entropy(model(one, other), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        model.scale -= 0.01 * model.scale.grad
        model.scale.grad = None
    if step % 50 == 0:
        print(f"step {step}  loss {loss.item():.4f}")
