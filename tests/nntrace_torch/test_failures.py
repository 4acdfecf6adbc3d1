"""An error inside nntrace is reported once, ends tracing and never touches the training."""

import json
import re
import warnings

import pytest
import torch
from nntrace_torch.backward import BackwardObserver
from nntrace_torch.called_models import CalledModels
from nntrace_torch.data.batches import InputSampler
from nntrace_torch.data.loaders import LoaderObserver
from nntrace_torch.loss.given import LossSampler
from nntrace_torch.optimizer.clearing import GradientClearing
from nntrace_torch.optimizer.optimizers import Optimizers
from nntrace_torch.optimizer.scaling import LossScaling
from nntrace_torch.program.modes import ModeObserver
from nntrace_torch.program.seeds import SeedObserver
from nntrace_torch.program.sources import Sources
from nntrace_torch.sampled_steps import SampledSteps
from nntrace_torch.samples.declarations import Declarations
from nntrace_torch.samples.forward import ForwardSampler
from nntrace_torch.samples.parameters import ParameterSampler
from nntrace_torch.samples.step import StepSample
from nntrace_torch.tracer import Tracer
from torch import nn
from torch.nn import functional
from torch.nn.modules import module as module_hooks
from torch.optim import optimizer as optimizer_hooks
from torch.utils.data import DataLoader, TensorDataset
from tracing import tracing

from nntrace.recorder import Recorder
from nntrace.trace import Trace

# Every place in which a hook does its work, and how often it may succeed before it breaks.
PLACES = [
    (InputSampler, "observe"),
    (ModeObserver, "observe"),
    (ForwardSampler, "_enter"),
    (ForwardSampler, "_leave"),
    (Declarations, "declare"),
    (LossSampler, "add"),
    (LossSampler, "_announce"),
    (LoaderObserver, "_begins"),
    (GradientClearing, "look"),
    (GradientClearing, "remember"),
    (Optimizers, "_was_built"),
    (Optimizers, "observe"),
    (Optimizers, "holder_names"),
    (ParameterSampler, "before_step"),
    (ParameterSampler, "gradients"),
    (ParameterSampler, "after_step"),
    (StepSample, "add"),
    (StepSample, "finish"),
    (StepSample, "_assemble"),
    (Sources, "note"),
    (SampledSteps, "begin"),
    (SeedObserver, "_seeded"),
    (Tracer, "_end_step"),
    (CalledModels, "of"),
    (BackwardObserver, "_backward"),
    (BackwardObserver, "take"),
    (LossScaling, "_scaled"),
    (LossScaling, "_step_begins"),
    (LossScaling, "_step_ended"),
    (LossScaling, "unscaled"),
    (LossScaling, "take_scale"),
    (Recorder, "add_step"),
    (Recorder, "add_event"),
    (Recorder, "add_sample"),
    (Recorder, "add_site"),
]


def train():
    """Two epochs over a tiny data set; losses and final weights."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 3)
    )
    _, *held = model.parameters()  # whose the first one is, is asked
    optimizer = torch.optim.Adam(held, lr=0.01)
    data = TensorDataset(torch.randn(24, 4), torch.arange(24) % 3)
    losses = []
    scaler = torch.amp.GradScaler("cpu", init_scale=16.0)
    for _ in range(2):
        for inputs, targets in DataLoader(data, batch_size=8, shuffle=True):
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(inputs), targets)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            losses.append(loss.item())
    return losses, {name: value.clone() for name, value in model.state_dict().items()}


def assert_nothing_left():
    for hooks in (module_hooks, optimizer_hooks):
        for name, value in vars(hooks).items():
            assert not (name.startswith("_global_") and isinstance(value, dict) and value), name


@pytest.fixture
def lenient(monkeypatch):
    monkeypatch.delenv("NNTRACE_STRICT", raising=False)


@pytest.mark.parametrize("successes", [0, 2])
@pytest.mark.parametrize(("owner", "name"), PLACES, ids=lambda v: getattr(v, "__name__", v))
def test_a_broken_hook_changes_nothing_and_is_reported_once(
    tmp_path, capsys, monkeypatch, lenient, owner, name, successes
):
    bare = train()
    original = getattr(owner, name)
    calls = []

    def broken(*args, **kwargs):
        calls.append(name)
        if len(calls) > successes:
            raise RuntimeError("planted")
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, broken)
    run = tmp_path / "run"
    with tracing(run, every=1) as recorder:
        traced = train()
        reached = len(calls) > successes
        if reached:
            assert not recorder.active
            assert_nothing_left()
    monkeypatch.undo()
    assert traced[0] == bare[0]
    assert all(torch.equal(traced[1][key], bare[1][key]) for key in bare[1])
    assert_nothing_left()
    said = capsys.readouterr().err
    assert said.count("tracing stopped") == (1 if reached else 0)
    if reached:
        assert "planted" in said
        assert "Traceback" in said
    if reached and recorder.opened:
        assert "planted" in json.loads((run / "manifest.json").read_text())["error"]
        if name != "add_event":
            (event,) = Trace.open(run).events_of("error")
            assert "planted" in event.payload["error"]


def test_at_least_every_hook_place_is_reached_by_the_training_program(tmp_path, monkeypatch):
    reached = set()
    for owner, name in PLACES:
        original = getattr(owner, name)

        def counted(*args, original=original, place=(owner, name), **kwargs):
            reached.add(place)
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)
    with tracing(tmp_path / "run", every=1):
        train()
    assert reached == set(PLACES)


def test_strict_mode_raises_the_error(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("NNTRACE_STRICT", "1")
    monkeypatch.setattr(InputSampler, "observe", lambda *args: 1 / 0)
    with tracing(tmp_path / "run"), pytest.raises(ZeroDivisionError):
        train()
    assert "tracing stopped" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["before_step", "after_step"])
def test_a_hook_that_breaks_while_others_wait_for_the_same_step_lets_them_run(
    tmp_path, monkeypatch, lenient, name
):
    seen = []
    monkeypatch.setattr(ParameterSampler, name, lambda *args: 1 / 0)
    with tracing(tmp_path / "run"):
        handles = [
            optimizer_hooks.register_optimizer_step_pre_hook(lambda *_: seen.append("before")),
            optimizer_hooks.register_optimizer_step_post_hook(lambda *_: seen.append("after")),
        ]
        try:
            train()
        finally:
            for handle in handles:
                handle.remove()
    assert seen == ["before", "after"] * 6


def test_a_hook_that_breaks_while_the_users_forward_raises_leaves_the_users_error(
    tmp_path, capsys, monkeypatch, lenient
):
    class Raising(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, x):
            raise KeyError("the user's own")

    monkeypatch.setattr(ForwardSampler, "_leave", lambda *args: 1 / 0)
    with tracing(tmp_path / "run"):
        handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                with pytest.raises(KeyError, match="the user's own"):
                    Raising()(torch.ones(1))
        finally:
            handle.remove()
    assert re.search("tracing stopped in .*_leave", capsys.readouterr().err)


def test_interrupting_a_hook_interrupts_the_training(tmp_path, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(InputSampler, "observe", interrupt)
    with tracing(tmp_path / "run"), pytest.raises(KeyboardInterrupt):
        train()
    assert_nothing_left()
