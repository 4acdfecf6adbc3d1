"""The first law beyond results: graphs die when they would, unsampled steps compute no more,
memory stays bounded, and a writer that breaks leaves the training alone.
"""

import gc
import os
import statistics
import subprocess
import sys
import textwrap
import weakref
from collections import Counter
from pathlib import Path

import nntrace_torch
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch_programs import mlp
from tracing import tracing

import nntrace
from nntrace.recorder import writer
from nntrace.recorder.rank_folder import RankFolder
from nntrace.trace import Trace

MEGABYTE = 1 << 20


class Token:
    """Lives as long as the graph it is saved in."""


class Probe(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        context.token = Token()
        Probe.latest = weakref.ref(context.token)
        return x * 1

    @staticmethod
    def backward(context, gradient):
        return gradient


@pytest.fixture
def no_collection():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("every", [1, 1000])
def test_a_graph_dies_with_the_users_last_reference(trace_here, no_collection, every):
    model = mlp()
    alive = []

    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            abandoned = Probe.apply(model(torch.randn(6, 4)))
            alive.append(Probe.latest() is not None)
            del abandoned
            alive.append(Probe.latest() is not None)
            loss = functional.cross_entropy(
                Probe.apply(model(torch.randn(6, 4))), torch.arange(6) % 3
            )
            loss.backward()
            del loss
            alive.append(Probe.latest() is not None)
            optimizer.step()
            optimizer.zero_grad()

    trace_here(program, every=every)
    assert alive == [True, False, False] * 3


class Operations(TorchDispatchMode):
    """Counts what reaches the backend."""

    def __init__(self):
        super().__init__()
        self.steps = [Counter()]

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.steps[-1][func.overloadpacket._qualified_op_name] += 1
        return func(*args, **(kwargs or {}))


def operations_of_steps(layers):
    """What each of twelve training steps of a deep model computes."""
    torch.manual_seed(0)
    deep = [nn.Linear(16, 16) for _ in range(layers)]
    model = nn.Sequential(*deep, nn.BatchNorm1d(16), nn.Dropout(0.1), nn.Linear(16, 3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    with Operations() as operations:
        for _ in range(12):
            logits = model(torch.randn(8, 16))
            loss = functional.cross_entropy(logits, torch.arange(8) % 3)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            operations.steps.append(Counter())
    return operations.steps[:-1]


VIEWS = {"aten::detach", "aten::view", "aten::select", "aten::alias"}


@pytest.mark.parametrize("layers", [2, 30])
def test_a_step_that_is_not_sampled_computes_no_more_however_large_the_model(tmp_path, layers):
    bare = operations_of_steps(layers)
    with tracing(tmp_path / "run", every=1000):
        traced = operations_of_steps(layers)
    for number, (theirs, ours) in enumerate(zip(bare, traced, strict=True)):
        assert not theirs - ours, "an operation of the program is missing"
        added = {name: n for name, n in (ours - theirs).items() if name not in VIEWS}
        if number:
            # The loss is read; the gradients looked at for a NaN are put together and summed.
            assert set(added) <= {"aten::_local_scalar_dense", "aten::cat", "aten::sum"}
            assert sum(added.values()) <= 6


def test_memory_does_not_grow_with_the_model(tmp_path):
    program = """
        import resource, torch
        model = torch.nn.Sequential(*(torch.nn.Linear(2500, 2500) for _ in range(4)))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.randn(4, 2500)).square().mean().backward()
            optimizer.step()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
        """
    script = tmp_path / "train.py"
    script.write_text(textwrap.dedent(program))
    environment = {name: v for name, v in os.environ.items() if not name.startswith("NNTRACE")}

    def peak(*words):
        done = subprocess.run(
            [sys.executable, *words, str(script)],
            cwd=tmp_path,
            env={**environment, "NNTRACE_STRICT": "1"},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        return int(done.stdout.split()[-1])

    assert peak("-m", "nntrace", "run", "--every", "1") - peak() < 150 * MEGABYTE


@pytest.mark.parametrize("successes", [0, 3])
def test_a_writer_that_breaks_is_reported_once_and_changes_nothing(
    tmp_path, capsys, monkeypatch, successes
):
    monkeypatch.delenv("NNTRACE_STRICT", raising=False)
    original, calls = RankFolder.write, []

    def broken(self, *args):
        calls.append(1)
        if len(calls) > successes:
            raise RuntimeError("planted")
        return original(self, *args)

    def train():
        torch.manual_seed(0)
        model = mlp()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        losses = []
        for _ in range(300):
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(torch.randn(6, 4)), torch.arange(6) % 3)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    bare = train()
    monkeypatch.setattr(writer, "FLUSH_SECONDS", 0.001)
    monkeypatch.setattr(RankFolder, "write", broken)
    with tracing(tmp_path / "run", every=1) as recorder:
        assert train() == bare
    assert recorder.failure is not None
    assert recorder.failure.summary == "RuntimeError: planted"
    said = capsys.readouterr().err
    assert said.count("tracing stopped in the writer") == 1
    assert said.count("Traceback") == 1


def test_a_step_that_is_not_sampled_makes_few_python_calls(tmp_path):
    """A count, not a time: each call costs about as much on any machine, busy or not."""
    calls = Counter()
    number = 0
    ours = tuple(str(Path(package.__file__).parent) for package in (nntrace, nntrace_torch))

    def count(frame, event, argument):
        if event == "call" and frame.f_code.co_filename.startswith(ours):
            calls[number] += 1

    model = mlp()
    with tracing(tmp_path / "run", every=1000):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for number in range(130):  # in the first hundred a gradient is looked at each time
            sys.setprofile(count if number >= 110 else None)
            optimizer.zero_grad()
            functional.cross_entropy(model(torch.randn(6, 4)), torch.arange(6) % 3).backward()
            optimizer.step()
        sys.setprofile(None)
    assert statistics.median(calls[number] for number in range(110, 130)) <= 90


def after_a_nan():
    """Losses, weights and random state of a training that skips one broken loss and takes another,
    with dropout in between."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.3), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for step in range(14):
        inputs, targets = torch.randn(8, 4), torch.rand(8, 1) + 0.5
        targets = targets * (step not in (4, 10))
        loss = ((model(inputs) - targets) / targets).abs().mean()
        losses.append(repr(loss.item()))
        optimizer.zero_grad()
        if step == 4 and not torch.isfinite(loss):
            continue
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    weights = [parameter.detach().numpy().tobytes() for parameter in model.parameters()]
    return losses, weights, torch.get_rng_state().numpy().tobytes()


@pytest.mark.parametrize("every", [1, 1000])
def test_a_run_that_goes_on_after_a_nan_stays_what_it_was(tmp_path, every):
    bare = after_a_nan()
    with tracing(tmp_path / "run", every=every) as recorder:
        assert after_a_nan() == bare
    assert recorder.failure is None
    steps = [event.step for event in Trace.open(tmp_path / "run").events_of("origin")]
    assert steps == [4, 9]  # optimizer steps: one batch was skipped
