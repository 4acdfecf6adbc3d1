"""Activations of compiled models, and the first law with them."""

import random
import types

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from tracing import tracing

from nntrace.trace import Trace

# TorchDynamo's own, with or without nntrace.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*record_function.*:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.*"),
    # Of TorchDynamo in PyTorch 2.14, when a part of a model is compiled.
    pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning"),
]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 8)
        self.norm = nn.BatchNorm1d(8)
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(8, 3)

    def forward(self, inputs):
        return self.head(self.drop(functional.relu(self.norm(self.first(inputs)))))


def whole_module(model, optimizer):
    compiled = torch.compile(model, backend="eager")
    return lambda x, y: functional.cross_entropy(compiled(x), y).backward()


def in_place(model, optimizer):
    model.compile(backend="eager")
    return lambda x, y: functional.cross_entropy(model(x), y).backward()


def parts_in_place(model, optimizer):
    model.first.compile(backend="eager")
    model.head.compile(backend="eager")
    return lambda x, y: functional.cross_entropy(model(x), y).backward()


def function(model, optimizer):
    @torch.compile(backend="eager")
    def loss(x, y):
        return functional.cross_entropy(model(x), y)

    return lambda x, y: loss(x, y).backward()


def method(model, optimizer):
    """As Lightning compiles `training_step` and the other steps of a compiled module."""
    context = torch.compile(model, backend="eager").dynamo_ctx
    loss = context(types.MethodType(loss_of, model))
    return lambda x, y: loss(x, y).backward()


def loss_of(model, x, y):
    return functional.cross_entropy(model(x), y)


WAYS = [whole_module, in_place, parts_in_place, function]


def eager(model, optimizer):
    return lambda x, y: functional.cross_entropy(model(x), y).backward()


def train(way, *, steps=4, compiled_from=0, model=None):
    """What the training came to: weights, buffers, losses' gradients and random states."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    for seed in (torch.manual_seed, random.seed, np.random.seed):
        seed(1)
    model = model or Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    backward = eager(model, optimizer)
    for step in range(steps):
        if step == compiled_from:
            backward = way(model, optimizer)
        optimizer.zero_grad()
        backward(torch.randn(6, 4), torch.arange(6) % 3)
        optimizer.step()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    frames = dict(torch._dynamo.utils.counters["stats"])
    breaks = dict(torch._dynamo.utils.counters["graph_break"])
    torch._dynamo.reset()
    return state, torch.rand(1), random.random(), np.random.rand(), frames, breaks


@pytest.mark.parametrize("compiled_from", [0, 2])
@pytest.mark.parametrize("way", WAYS)
def test_every_layer_of_a_compiled_model_is_recorded_and_training_is_the_same(
    trace_here, way, compiled_from
):
    expected = train(way, compiled_from=compiled_from)
    found = []
    trace = trace_here(lambda: found.append(train(way, compiled_from=compiled_from)))
    state, *rest = found[0]
    assert all(torch.equal(state[name], value) for name, value in expected[0].items())
    assert rest == list(expected[1:])
    for path in ("first", "norm", "drop", "head"):
        site = trace.site(path, "activation")
        assert np.isfinite(trace.series("activation", "std", site)).all(), path
    assert trace.events_of("unseen") == ()


@pytest.mark.parametrize("compiled_from", [0, 2])
def test_of_a_method_compiled_by_a_modules_compiler_training_is_the_same_and_layers_are_unseen(
    trace_here, compiled_from
):
    """What else the method does, such as to log, must not happen twice: it is not replayed."""
    expected = train(method, compiled_from=compiled_from)
    found = []
    trace = trace_here(lambda: found.append(train(method, compiled_from=compiled_from)))
    state, *rest = found[0]
    assert all(torch.equal(state[name], value) for name, value in expected[0].items())
    assert rest == list(expected[1:])
    (event,) = trace.events_of("unseen")
    assert "loss_of" in event.payload["reason"]
    assert np.isfinite(trace.steps.loss).all()
    assert np.isfinite(trace.series("update", "rms", trace.site("head.weight", "update"))).all()


def test_what_is_recorded_are_the_values_of_the_eager_model(trace_here):
    compiled = trace_here(lambda: train(whole_module))
    plain = trace_here(lambda: train(eager))
    for path in ("first", "norm", "head"):
        series = [
            trace.series("activation", "mean", trace.site(path, "activation"))
            for trace in (compiled, plain)
        ]
        assert series[0] == pytest.approx(series[1], rel=1e-5), path


def test_a_wholly_compiled_step_is_replayed_up_to_its_backward(tmp_path, monkeypatch):
    monkeypatch.setenv("NNTRACE_STRICT", "1")

    def program():
        torch._dynamo.reset()
        torch.manual_seed(1)
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        taken = []

        @torch.compile(backend="eager")
        def step(x, y):
            taken.append(1)
            optimizer.zero_grad()
            functional.cross_entropy(model(x), y).backward()
            optimizer.step()

        for _ in range(3):
            step(torch.randn(6, 4), torch.arange(6) % 3)
        torch._dynamo.reset()
        return [value.clone() for value in model.state_dict().values()], taken, torch.rand(1)

    expected = program()
    with tracing(tmp_path / "run") as recorder:
        found = program()
    assert recorder.failure is None
    assert all(torch.equal(a, b) for a, b in zip(found[0], expected[0], strict=True))
    assert found[1:] == expected[1:]
    trace = Trace.open(tmp_path / "run")
    assert len(trace.steps) == 3
    for path in ("first", "norm", "drop", "head"):
        series = trace.series("activation", "std", trace.site(path, "activation"))
        assert np.isfinite(series).all(), path
    assert {batch.loss_function for batch in trace.batches} == {"cross_entropy"}


MEMORY = torch.zeros(8)


class Remembers(Net):
    """Writes to a tensor that is no buffer of its own."""

    def forward(self, inputs):
        MEMORY.add_(self.first(inputs).detach().mean(0))
        return super().forward(inputs)


def test_a_forward_that_writes_to_the_programs_tensors_is_not_replayed_and_said_to_be_unseen(
    trace_here,
):
    def program():
        MEMORY.zero_()
        torch.manual_seed(1)
        train(whole_module, model=Remembers())
        return MEMORY.clone()

    expected = program()
    found = []
    trace = trace_here(lambda: found.append(program()))
    assert torch.equal(found[0], expected)
    (event,) = trace.events_of("unseen")
    assert "Remembers" in event.payload["reason"]
    assert "add_" in event.payload["reason"]


class Records(Net):
    """Keeps what it saw, in attributes that are no buffers."""

    def __init__(self):
        super().__init__()
        self.calls = 0
        self.history = []

    def forward(self, inputs):
        self.calls += 1
        self.history.append(len(inputs))
        self.newest = inputs.detach().mean()
        return super().forward(inputs)


def test_lists_attributes_and_buffers_of_a_module_are_put_back_after_a_replay():
    from nntrace_torch.replay.engine import Replayer
    from nntrace_torch.replay.guard import WriteGuard

    model = Records()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    output = Replayer().run(model, (torch.randn(6, 4),), {}, WriteGuard())
    assert output.shape == (6, 3)
    assert not output.requires_grad
    assert (model.calls, model.history, hasattr(model, "newest")) == (0, [], False)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_hooks_of_the_program_are_not_called_by_a_replay():
    from nntrace_torch.replay.engine import Replayer
    from nntrace_torch.replay.guard import WriteGuard

    model, calls = Net(), []
    model.first.register_forward_hook(lambda *_: calls.append(1))
    normed = torch.nn.utils.spectral_norm(model.head)
    before = normed.weight_u.clone()
    Replayer().run(model, (torch.randn(6, 4),), {}, WriteGuard())
    assert calls == []
    assert torch.equal(normed.weight_u, before)
    model(torch.randn(6, 4))
    assert calls == [1]


def two_steps(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        functional.cross_entropy(model(torch.randn(6, 4)), torch.arange(6) % 3).backward()
        optimizer.step()


def test_a_scripted_model_is_said_to_be_unseen_inside(trace_here):
    def program():
        model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 3))
        two_steps(torch.jit.trace(model, torch.ones(6, 4)))

    trace = trace_here(program)
    (event,) = trace.events_of("unseen")
    assert "TorchScript" in event.payload["reason"]
    assert trace.site("", "activation") is not None


def test_an_exported_model_is_said_to_be_unseen_inside(trace_here):
    def program():
        model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        two_steps(torch.export.export(model, (torch.randn(6, 4),)).module())

    trace = trace_here(program)
    (event,) = trace.events_of("unseen")
    assert "torch.export" in event.payload["reason"]
