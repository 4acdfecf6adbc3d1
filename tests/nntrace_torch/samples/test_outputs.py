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


def test_a_gradient_that_comes_in_the_step_of_another_optimizer_is_recorded_there(trace_here):
    generator, judge = nn.Linear(4, 3), nn.Linear(3, 1)
    of_judge = torch.optim.SGD(judge.parameters(), lr=0.1)
    of_generator = torch.optim.SGD(generator.parameters(), lr=0.1)
    arrived = {}

    def program():
        for step in range(0, 10, 2):
            fake = generator(torch.randn(6, 4))
            of_judge.zero_grad()
            judge(fake.detach()).square().mean().backward()
            of_judge.step()
            of_generator.zero_grad()
            fake.register_hook(
                lambda gradient, step=step: arrived.update({step + 1: float(gradient.mean())})
            )
            (judge(fake) - 1).square().mean().backward()
            of_generator.step()

    # Whichever of the two is the first model, the other's paths have a prefix.
    found = series_by_step(trace_here(program), "activation_grad", "")
    seen = {step: value for step, value in found.items() if np.isfinite(value)}
    assert seen == pytest.approx(arrived, rel=1e-4, abs=1e-9)


def test_a_graph_that_the_program_keeps_holds_no_gradients_of_steps_that_are_not_sampled(
    trace_here,
):
    outputs, arrived = [], []

    def forward(model, x):
        hidden = model.first(x)
        hidden.register_hook(lambda gradient: arrived.append(weakref.ref(gradient)))
        return model.second(hidden)

    model = Wrapped(forward, first=nn.Linear(4, 5), second=nn.Linear(5, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def program():
        for step in range(10):
            optimizer.zero_grad()
            outputs.append(model(torch.randn(6, 4)).square().mean())
            for output in outputs:
                output.backward(retain_graph=True, inputs=[model.first.bias])
            assert len(arrived) == step + 1
            if step % 3:
                assert not any(gradient() is not None for gradient in arrived)
            arrived.clear()
            optimizer.step()

    trace_here(program, every=3)
