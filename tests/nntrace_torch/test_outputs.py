import gc
import weakref

import numpy as np
import pytest
import torch
from torch import nn
from torch_programs import Wrapped


def series_by_step(trace, role, path):
    values = trace.series(role, "mean", trace.site(path, role))
    return dict(zip(trace.sampled_steps.tolist(), values.tolist(), strict=True))


def test_an_output_is_recorded_as_its_module_gave_it_or_not_at_all(trace_here):
    """From the fourth step on the program writes to it, when its copy may still be waiting."""
    given = []

    def forward(model, x):
        hidden = model.first(x)
        given.append(float(hidden.detach().double().mean()))
        if len(given) in (4, 5, 6):
            hidden += 100.0
        return model.second(hidden)

    model = Wrapped(forward, first=nn.Linear(4, 5), second=nn.Linear(5, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)  # what is added would break it

    def program():
        for _ in range(8):
            optimizer.zero_grad()
            model(torch.randn(6, 4)).square().mean().backward()
            optimizer.step()

    found = series_by_step(trace_here(program), "activation", "first")
    seen = {step: value for step, value in found.items() if np.isfinite(value)}
    assert seen == pytest.approx({step: given[step] for step in seen}, rel=1e-4, abs=1e-6)
    assert len(seen) >= 7  # only where it was not known yet that the program does so


def test_every_gradient_is_recorded_in_every_sampled_step(trace_here):
    arrived = []

    def forward(model, x):
        hidden = model.first(x).tanh()
        hidden = model.second(hidden)
        hidden.register_hook(lambda gradient: arrived.append(float(gradient.double().mean())))
        return model.third(hidden)

    parts = {"first": nn.Linear(4, 8), "second": nn.Linear(8, 5), "third": nn.Linear(5, 3)}
    model = Wrapped(forward, **parts)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def program():
        for _ in range(5):
            optimizer.zero_grad()
            model(torch.randn(6, 4)).square().mean().backward()
            optimizer.step()

    found = series_by_step(trace_here(program), "activation_grad", "second")
    assert list(found.values()) == pytest.approx(arrived, rel=1e-4, abs=1e-9)


def test_no_output_outlives_the_forward_pass(trace_here):
    outputs = []

    def forward(model, x):
        hidden = model.first(x)
        outputs.append(weakref.ref(hidden))
        return model.second(hidden + 1)  # which autograd need not keep it for

    model = Wrapped(forward, first=nn.Linear(4, 5), second=nn.Linear(5, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def program():
        for _ in range(3):
            optimizer.zero_grad()
            loss = model(torch.randn(6, 4)).square().mean()
            gc.collect()
            assert outputs[-1]() is None
            loss.backward()
            optimizer.step()

    trace_here(program)
