"""Mixed precision with a gradient scaler: everything is recorded as if there were none."""

import numpy as np
import pytest
import torch
from nntrace_torch.optimizer.scaling import LossScaling
from torch import nn
from torch.nn import functional
from torch_programs import mlp

from nntrace.schema import EventKind

SCALE = 2.0**10  # a power of two: scaling and unscaling are exact
OPTIMIZERS = {
    "plain": lambda parameters: torch.optim.Adam(parameters, lr=0.01),
    "foreach": lambda parameters: torch.optim.Adam(parameters, lr=0.01, foreach=True),
    "fused": lambda parameters: torch.optim.Adam(parameters, lr=0.01, fused=True),
}


def train(optimizer, *, scaler, steps=4, losses=None, overflow_at=(), backward=None):
    torch.manual_seed(0)
    model = mlp()
    optimizer = optimizer(model.parameters())
    for step in range(steps):
        inputs = torch.randn(6, 4)
        loss = functional.cross_entropy(model(inputs), torch.arange(6) % 3)
        if step in overflow_at:
            loss = loss * torch.tensor(3e38)
        if losses is not None:
            losses.append(loss.item())
        optimizer.zero_grad()
        if backward is not None:
            backward(scaler, loss)
        else:
            scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()


def scaler(*, enabled=True):
    return torch.amp.GradScaler("cpu", init_scale=SCALE, enabled=enabled)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("role", ["activation_grad", "param_grad", "update", "activation"])
def test_a_scaled_run_records_the_numbers_of_an_unscaled_one(trace_here, name, role):
    scaled = trace_here(lambda: train(OPTIMIZERS[name], scaler=scaler()))
    bare = trace_here(lambda: train(OPTIMIZERS[name], scaler=scaler(enabled=False)))
    for stat in ("rms", "mean", "max", "zero_fraction"):
        ours, theirs = scaled.series(role, stat), bare.series(role, stat)
        assert np.isfinite(theirs).all()
        assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-9), stat
    assert scaled.steps.grad_norm == pytest.approx(bare.steps.grad_norm, rel=1e-5)


def test_an_overflow_before_any_optimizer_is_known_has_no_origin(trace_here):
    """A framework's optimizer may only be seen when it steps: until then steps are by hand."""

    def program():
        torch.manual_seed(0)
        model, scaled = mlp(), scaler()
        for step in range(6):
            loss = functional.cross_entropy(model(torch.randn(6, 4)), torch.arange(6) % 3)
            model.zero_grad()
            scaled.scale(loss * torch.tensor(1e36 if step < 2 else 1.0)).backward()
            if step > 1:
                train_by_hand(model)

    assert not trace_here(program).events_of(EventKind.ORIGIN)


def test_an_overflow_that_reaches_an_optimizer_beside_its_scaler_has_an_origin(trace_here):
    def program():
        torch.manual_seed(0)
        model, scaled = mlp(), scaler()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        loss = functional.cross_entropy(model(torch.randn(6, 4)), torch.arange(6) % 3)
        scaled.scale(loss * torch.tensor(1e36)).backward()
        optimizer.step()  # where `scaled.step(optimizer)` was meant

    [event] = trace_here(program).events_of(EventKind.ORIGIN)
    assert event.payload["seen_in"] == "gradient"


def train_by_hand(model):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= 0.01 / SCALE * parameter.grad


def test_the_loss_and_the_scale_are_columns_of_their_own(trace_here):
    losses = []
    steps = trace_here(lambda: train(OPTIMIZERS["plain"], scaler=scaler(), losses=losses)).steps
    assert steps.loss.tolist() == losses
    assert steps.loss_scale.tolist() == [SCALE] * 4


def test_without_a_scaler_there_is_no_scale(trace_here):
    steps = trace_here(lambda: train(OPTIMIZERS["plain"], scaler=scaler(enabled=False))).steps
    assert np.isnan(steps.loss_scale).all()
    assert not steps.skipped.any()


@pytest.mark.parametrize(
    "backward",
    [
        lambda scaler, loss: (scaler.scale(loss / 2) + scaler.scale(loss / 2)).backward(),
        lambda scaler, loss: torch.autograd.backward(scaler.scale([loss / 2, loss / 2])),
        lambda scaler, loss: [
            part.backward(retain_graph=True) for part in scaler.scale((loss / 4, loss * 0.75))
        ],
    ],
    ids=["a sum of scaled losses", "a list of losses", "two backward passes"],
)
def test_several_scaled_losses_add_up_unscaled(trace_here, backward):
    losses = []
    steps = trace_here(
        lambda: train(OPTIMIZERS["plain"], scaler=scaler(), losses=losses, backward=backward)
    ).steps
    assert steps.loss == pytest.approx(losses, rel=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_skipped_step_is_a_row_that_says_so_and_has_no_statistics(trace_here, name):
    losses = []
    trace = trace_here(
        lambda: train(OPTIMIZERS[name], scaler=scaler(), losses=losses, steps=5, overflow_at=(0, 2))
    )
    steps = trace.steps
    assert steps.skipped.tolist() == [True, False, True, False, False]
    assert steps.loss == pytest.approx(losses)
    assert steps.loss_scale.tolist() == [SCALE, SCALE / 2, SCALE / 2, SCALE / 4, SCALE / 4]
    assert trace.sampled_steps.tolist() == [1, 3, 4]
    assert not (trace.series("param_grad", "nonfinite_fraction") > 0).any()
    assert not trace.events_of("nonfinite")
    assert np.isfinite(trace.series("update", "rms")).all()


def test_accumulated_scaled_gradients_are_unscaled_once(trace_here):
    def program(scaler):
        torch.manual_seed(0)
        model = mlp()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(2):
            for _ in range(3):
                loss = functional.cross_entropy(model(torch.randn(6, 4)), torch.arange(6) % 3)
                scaler.scale(loss / 3).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()

    scaled = trace_here(lambda: program(scaler()))
    bare = trace_here(lambda: program(scaler(enabled=False)))
    assert scaled.steps.backwards.tolist() == [3, 3]
    assert scaled.steps.loss == pytest.approx(bare.steps.loss, rel=1e-6)
    for role in ("param_grad", "activation_grad"):
        ours, theirs = scaled.series(role, "rms"), bare.series(role, "rms")
        assert ours == pytest.approx(theirs, rel=1e-4)


def test_two_optimizers_under_one_scaler_are_unscaled_and_skipped_each_for_itself(trace_here):
    def program():
        torch.manual_seed(0)
        one, other = nn.Linear(4, 3), nn.Linear(4, 3)
        optimizers = [torch.optim.SGD(m.parameters(), lr=0.1) for m in (one, other)]
        shared = scaler()
        for step in range(3):
            inputs = torch.randn(6, 4)
            first = functional.cross_entropy(one(inputs), torch.arange(6) % 3)
            second = functional.cross_entropy(other(inputs), torch.arange(6) % 3)
            for optimizer in optimizers:
                optimizer.zero_grad()
            shared.scale(first).backward()
            shared.scale(second * torch.tensor(3e38 if step == 1 else 1.0)).backward()
            for optimizer in optimizers:
                shared.step(optimizer)
            shared.update()

    trace = trace_here(program)
    assert trace.steps.optimizer == ("SGD", "SGD.2") * 3
    assert trace.steps.skipped.tolist() == [False, False, False, True, False, False]
    assert trace.steps.loss_scale.tolist() == [SCALE] * 4 + [SCALE / 2] * 2
    assert not (trace.series("param_grad", "nonfinite_fraction") > 0).any()


def test_an_overflow_that_a_second_optimizer_clips_and_skips_is_no_broken_gradient(trace_here):
    def program():
        torch.manual_seed(0)
        one, other = nn.Linear(4, 3), nn.Linear(4, 3)
        models = [(m, torch.optim.SGD(m.parameters(), lr=0.1)) for m in (one, other)]
        shared = scaler()
        for step in range(3):
            hidden, size = one(torch.randn(6, 4)), 3e38 if step == 1 else 1.0
            loss = hidden.square().mean() + other(torch.randn(6, 4)).square().mean() * size
            shared.scale(loss).backward()
            for model, optimizer in models:
                shared.unscale_(optimizer)
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                shared.step(optimizer)
                optimizer.zero_grad()
            shared.update()

    trace = trace_here(program)
    assert trace.steps.skipped.tolist() == [False, False, False, True, False, False]
    assert not trace.events_of("origin")


def test_scaling_without_end_keeps_no_losses(trace_here, monkeypatch):
    kept = []
    original = LossScaling._scaled

    def scaled(self, *args):
        original(self, *args)
        kept.append(len(self._losses))

    monkeypatch.setattr(LossScaling, "_scaled", scaled)

    def program():
        endless = scaler()
        for _ in range(1500):
            endless.scale(torch.ones(1))
        train(OPTIMIZERS["plain"], scaler=endless)

    trace_here(program)
    assert max(kept) <= 1024
