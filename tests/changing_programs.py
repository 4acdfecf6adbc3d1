"""Training programs in which modules, shapes, types or parameters change between steps."""

import contextlib

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint


def _step(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _adam(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def mlp():
    model = nn.Sequential(nn.Linear(20, 300), nn.Tanh(), nn.Linear(300, 300), nn.Linear(300, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(8):
        _step(optimizer, model(torch.randn(16, 20)).square().mean())


def convolutions_with_relu_in_place():
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(inplace=True),
        nn.Conv2d(16, 32, 3, stride=2),
        nn.ReLU(inplace=True),
        nn.Dropout(0.1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    )
    optimizer = _adam(model)
    for _ in range(8):
        loss = functional.cross_entropy(model(torch.randn(8, 3, 12, 12)), torch.randint(10, (8,)))
        _step(optimizer, loss)


def recurrent_cell_called_many_times():
    cell, head = nn.GRUCell(8, 40), nn.Linear(40, 2)
    model = nn.ModuleDict({"cell": cell, "head": head, "rnn": nn.LSTM(8, 40, batch_first=True)})
    optimizer = _adam(model)
    for step in range(10):
        inputs, state = torch.randn(6, 5 + step % 3, 8), torch.zeros(6, 40)
        for at in range(inputs.shape[1]):
            state = cell(inputs[:, at], state)
        state = state + model["rnn"](inputs)[0][:, -1]
        _step(optimizer, head(state).square().mean())


class Shared(nn.Module):
    """One layer twice, and an order that depends on the input."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(12, 12), nn.Linear(12, 12)
        self.norm, self.head = nn.LayerNorm(12), nn.Linear(12, 2)
        self.turned = False

    def forward(self, x):
        order = [self.second, self.first] if self.turned else [self.first, self.second]
        for layer in (*order, self.first):
            x = self.norm(layer(x)).relu()
        return self.head(x)


def shared_modules():
    model = Shared()
    optimizer = _adam(model)
    for _ in range(9):
        _step(optimizer, model(torch.randn(7, 12)).square().mean())


def order_of_modules_changes():
    model = Shared()
    optimizer = _adam(model)
    for step in range(12):
        model.turned = step in (5, 6, 9)
        _step(optimizer, model(torch.randn(7, 12)).square().mean())


def shapes_change():
    model = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.LayerNorm(24), nn.Linear(24, 2))
    optimizer = _adam(model)
    for shape in [(8, 12)] * 4 + [(5, 12)] * 3 + [(2, 9, 12)] * 3 + [(8, 12), (3, 12), (8, 12)]:
        _step(optimizer, model(torch.randn(shape)).square().mean())


def layout_and_type_change():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.Flatten(1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for step in range(12):
        if step == 4:
            model = model.to(memory_format=torch.channels_last)
        if step == 8:
            model = model.double()
        inputs = torch.randn(4, 3, 9, 9, dtype=next(model.parameters()).dtype)
        if 4 <= step < 8:
            inputs = inputs.to(memory_format=torch.channels_last)
        _step(optimizer, model(inputs).square().mean())


def parameters_replaced():
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 2))
    optimizer = _adam(model)
    for step in range(12):
        if step == 4:
            model[0].weight = nn.Parameter(torch.randn(6, 6))
            optimizer.param_groups[0]["params"][0] = model[0].weight
        if step == 7:
            model[2].weight.data = torch.randn(2, 6)
        if step == 9:  # the optimizer keeps updating the old parameter
            model[2].bias = nn.Parameter(torch.zeros(2))
        if step == 10:
            model[0] = nn.Linear(6, 6)
        _step(optimizer, model(torch.randn(8, 6)).square().mean())


def optimizer_rebuilt_and_given_more():
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.Linear(6, 2))
    optimizer = torch.optim.SGD(model[0].parameters(), lr=0.1)
    for step in range(12):
        if step == 3:
            optimizer.add_param_group({"params": list(model[2].parameters()), "lr": 0.01})
        if step == 6:
            optimizer = _adam(model)
        if step == 9:
            optimizer = torch.optim.SGD(reversed(list(model.parameters())), lr=0.1)
        _step(optimizer, model(torch.randn(8, 6)).square().mean())


class Checkpointed(nn.Module):
    """Recomputes its middle during backward."""

    def __init__(self, reentrant):
        super().__init__()
        self.first, self.last = nn.Linear(6, 20), nn.Linear(20, 2)
        self.middle = nn.Sequential(nn.Linear(20, 20), nn.GELU(), nn.Linear(20, 20))
        self.reentrant = reentrant

    def forward(self, x):
        x = checkpoint(self.middle, self.first(x), use_reentrant=self.reentrant)
        return self.last(x)


def checkpointed_activations():
    for reentrant in (False, True):
        model = Checkpointed(reentrant)
        optimizer = _adam(model)
        for _ in range(8):
            _step(optimizer, model(torch.randn(8, 6)).square().mean())


def autocast():
    model = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.LayerNorm(24), nn.Linear(24, 2))
    optimizer = _adam(model)
    for step in range(10):
        with torch.autocast("cpu", torch.bfloat16, enabled=step != 6):
            loss = model(torch.randn(8, 12)).float().square().mean()
        _step(optimizer, loss)


def frozen_layers_that_thaw():
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.Linear(6, 2))
    model[0].requires_grad_(False)
    optimizer = _adam(model)
    for step in range(12):
        if step == 5:
            model[0].requires_grad_(True)
        if step == 9:
            model[2].requires_grad_(False)
        _step(optimizer, model(torch.randn(8, 6)).square().mean())


def unused_parameters():
    model = nn.ModuleList([nn.Linear(6, 2), nn.Linear(6, 2), nn.Linear(6, 2)])
    optimizer = _adam(model)
    for step in range(12):
        _step(optimizer, model[(step > 5) + (step > 8)](torch.randn(8, 6)).square().mean())


def gradients_accumulated():
    model = nn.Sequential(nn.Linear(6, 60), nn.ReLU(), nn.Linear(60, 2))
    optimizer = _adam(model)
    for _ in range(8):
        optimizer.zero_grad()
        for _ in range(3):
            (model(torch.randn(8, 6)).square().mean() / 3).backward()
        optimizer.step()


def closure_of_lbfgs():
    model = nn.Sequential(nn.Linear(6, 60), nn.Tanh(), nn.Linear(60, 2))
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=4)
    inputs = torch.randn(32, 6)

    def closure():
        optimizer.zero_grad()
        loss = model(inputs).square().mean()
        loss.backward()
        return loss

    for _ in range(8):
        optimizer.step(closure)


def two_networks_in_turns():
    one, two = nn.Linear(6, 6), nn.Sequential(nn.Linear(6, 30), nn.ReLU(), nn.Linear(30, 1))
    first, second = _adam(one), _adam(two)
    for _ in range(6):
        made = one(torch.randn(9, 6))
        _step(second, two(made.detach()).mean() - two(torch.randn(9, 6)).mean())
        _step(first, -two(made).mean())


def embeddings_with_sparse_gradients():
    model = nn.Sequential(nn.Embedding(400, 16, sparse=True), nn.Flatten(), nn.Linear(64, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(8):
        _step(optimizer, model(torch.randint(400, (8, 4))).square().mean())


def gradients_changed_by_hooks():
    model = nn.Sequential(nn.Linear(6, 60), nn.ReLU(), nn.Linear(60, 2))
    optimizer = _adam(model)
    for step in range(12):
        hidden = model[0](torch.randn(8, 6))
        hidden.register_hook(lambda gradient: gradient.mul_(2))
        hidden = model[1](hidden)
        hidden.register_hook(lambda gradient: gradient * 3)
        out = model[2](hidden)
        if step in (4, 5, 9):
            out.detach().add_(1)
        _step(optimizer, out.square().mean())


def transposed_weights_with_holes():
    model = nn.Sequential(nn.Linear(6, 60), nn.ReLU(), nn.Linear(60, 2))
    model[0].weight = nn.Parameter(torch.randn(60, 12)[:, ::2])
    model[2].weight = nn.Parameter(torch.randn(60, 2).t())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(8):
        _step(optimizer, model(torch.randn(8, 6)).square().mean())


def evaluations_and_errors_between():
    model = nn.Sequential(nn.Linear(6, 60), nn.Dropout(0.2), nn.ReLU(), nn.Linear(60, 2))
    optimizer = _adam(model)
    for step in range(12):
        if step % 3 == 1:
            model.eval()
            model(torch.randn(8, 6))
            with torch.no_grad():
                model(torch.randn(8, 6))
            model.train()
        if step % 4 == 2:
            with contextlib.suppress(RuntimeError):
                model(torch.randn(8, 7))
        _step(optimizer, model(torch.randn(8, 6)).square().mean())


def large_matrices():
    model = nn.Sequential(nn.Linear(64, 2000), nn.ReLU(), nn.Linear(2000, 64))
    optimizer = _adam(model)
    for _ in range(6):
        _step(optimizer, model(torch.randn(32, 64)).square().mean())


class Branches(nn.Module):
    """A module with tuples and dictionaries as outputs, which returns a part's output as it is."""

    def __init__(self):
        super().__init__()
        self.rnn, self.inner = nn.GRU(5, 7), nn.Sequential(nn.Linear(7, 7), nn.Identity())
        self.head = nn.Linear(7, 1)

    def forward(self, x):
        states, last = self.rnn(x)
        states = self.inner(states)
        return {"value": self.head(states).squeeze(-1), "last": last}


class Container(nn.Module):
    """Hands on what its part returned, changes it, or returns another tensor, as it is told."""

    def __init__(self):
        super().__init__()
        self.part = nn.Sequential(nn.Linear(6, 6), nn.Sequential(nn.Tanh(), nn.Linear(6, 6)))
        self.does = "hand on"

    def forward(self, x):
        y = self.part(x)
        if self.does == "change":
            y.mul_(3.0)
        return y + 1.0 if self.does == "return another" else y


def containers_that_hand_on_what_their_parts_returned():
    parts = [Container(), Container(), nn.Sequential(Container(), nn.Dropout(0.2))]
    model = nn.Sequential(nn.Linear(5, 6), *parts, nn.Linear(6, 1))
    optimizer = _adam(model)
    for step in range(16):
        parts[0].does = "change" if step < 3 else "hand on"
        parts[1].does = "return another" if step in (9, 10, 13) else "hand on"
        _step(optimizer, model(torch.randn(12, 5)).square().mean())


def outputs_of_other_kinds():
    model = Branches()
    optimizer = _adam(model)
    for _ in range(9):
        found = model(torch.randn(4, 3, 5))
        _step(optimizer, found["value"].square().mean() + found["last"].square().mean())


PROGRAMS = [
    value
    for name, value in list(globals().items())
    if callable(value)
    and not name.startswith("_")
    and value.__module__ == __name__
    and not isinstance(value, type)
]
