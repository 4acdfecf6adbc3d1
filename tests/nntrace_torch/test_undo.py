"""The first law inside one process: what is put on comes off, and nothing is kept alive."""

import copy
import gc
import io
import weakref

import pytest
import torch
from nntrace_torch import TorchAdapter
from nntrace_torch.loss.losses import LOSS_FUNCTIONS
from nntrace_torch.nonfinite import step_before
from nntrace_torch.tracer import Tracer
from torch import nn
from torch.nn import functional
from torch.nn.modules import module as module_hooks
from torch.optim import optimizer as optimizer_hooks
from torch.utils.data import DataLoader
from torch.utils.data import dataloader as loader_module
from torch_programs import classify, mlp
from tracing import tracing

import nntrace
from nntrace.launch.session import Session
from nntrace.manifest import Manifest
from nntrace.recorder import Cadence, Recorder

PATCHED = [
    *((functional, name) for name in LOSS_FUNCTIONS),
    (torch.autograd, "backward"),
    (torch, "compile"),
    (torch, "manual_seed"),
    (torch.random, "manual_seed"),
    (nn.Module, "__init__"),
    (torch.optim.Optimizer, "__init__"),
    (DataLoader, "__iter__"),
    (loader_module._BaseDataLoaderIter, "__next__"),
]


def hooks_present():
    return [
        name
        for module in (module_hooks, optimizer_hooks)
        for name, value in vars(module).items()
        if name.startswith("_global_") and isinstance(value, dict) and value
    ]


def live_tensors():
    gc.collect()
    return sum(issubclass(type(candidate), torch.Tensor) for candidate in gc.get_objects())


def test_everything_patched_and_hooked_is_as_before_afterwards(tmp_path):
    before = [vars(owner).get(name) for owner, name in PATCHED]
    recorder = Recorder(tmp_path / "run", Manifest.begin("run", (), {}), Cadence())
    undo = TorchAdapter().install(recorder)
    assert [vars(owner).get(name) for owner, name in PATCHED] != before
    assert hooks_present()
    undo()
    assert [vars(owner).get(name) for owner, name in PATCHED] == before
    assert hooks_present() == []


def test_undoing_in_mid_step_takes_the_module_hooks_off_too(tmp_path):
    model = mlp()
    with tracing(tmp_path / "run"):
        logits = model(torch.randn(6, 4))
        assert hooks_present()
    functional.cross_entropy(logits, torch.arange(6) % 3).backward()
    assert hooks_present() == []
    assert all(not part._forward_pre_hooks and not part._forward_hooks for part in model.modules())


def test_a_patch_put_over_ours_is_left_alone(tmp_path, monkeypatch):
    recorder = Recorder(tmp_path / "run", Manifest.begin("run", (), {}), Cadence())
    original = torch.compile
    undo = TorchAdapter().install(recorder)
    ours = torch.compile

    def theirs(*args, **kwargs):
        return ours(*args, **kwargs)

    torch.compile = theirs
    undo()
    try:
        assert torch.compile is theirs
    finally:
        torch.compile = original


def test_output_tensors_the_user_keeps_hold_no_live_hook_afterwards(tmp_path):
    model = mlp()
    kept = []
    with tracing(tmp_path / "run", every=1):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(2):
            kept.append(model(torch.randn(6, 4)))
            functional.cross_entropy(kept[-1], torch.arange(6) % 3).backward()
            optimizer.step()
        kept.append(model(torch.randn(6, 4)))
    gradients = []
    kept[-1].register_hook(lambda gradient: gradients.append(gradient.clone()))
    kept[-1].sum().backward()
    assert torch.equal(gradients[0], torch.ones(6, 3))


def test_no_tensor_of_a_sampled_step_outlives_it(tmp_path):
    model, inputs = mlp(), torch.randn(6, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with tracing(tmp_path / "run", every=1) as recorder:
        classify(model, inputs, optimizer=optimizer, steps=2)
        optimizer.zero_grad()
        batch = inputs.clone()
        logits = model(batch)
        loss = functional.cross_entropy(logits, torch.arange(6) % 3)
        references = [weakref.ref(tensor) for tensor in (batch, logits, loss)]
        loss.backward()
        optimizer.step()
        del batch, logits, loss
        gc.collect()
        assert [reference() for reference in references] == [None] * 3
    assert recorder.failure is None
    assert recorder.pace.sampled_steps == 3


def test_the_number_of_living_tensors_does_not_grow_with_the_steps(tmp_path):
    model, inputs = mlp(), torch.randn(6, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with tracing(tmp_path / "run", every=1):
        classify(model, inputs, optimizer=optimizer, steps=3)
        first = live_tensors()
        classify(model, inputs, optimizer=optimizer, steps=20)
        assert live_tensors() <= first


def test_an_unsampled_step_has_as_many_living_tensors_as_without_trace(tmp_path, monkeypatch):
    monkeypatch.setattr(step_before, "_COPIED_BYTES", 0)  # the copy of small weights is apart
    counts = []

    class Counting(nn.Module):
        def forward(self, x):
            counts.append(live_tensors())
            return x

    def train():
        torch.manual_seed(0)
        model = mlp().append(Counting())
        classify(model, torch.randn(6, 4), steps=9)
        result, counts[:] = counts[2::3], []  # the step after a sampled one is compared with it
        return result

    bare = train()
    with tracing(tmp_path / "run", every=3):
        traced = train()
    # The buffer that samples are copied to stays for the whole run.
    assert [count - 1 for count in traced] == bare


def test_of_a_step_that_is_over_its_inputs_are_kept_for_one_more_and_nothing_computed(tmp_path):
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with tracing(tmp_path / "run", every=1000):
        references = []
        for _ in range(4):
            optimizer.zero_grad()
            batch = torch.randn(6, 4)
            logits = model(batch)
            loss = functional.cross_entropy(logits, torch.arange(6) % 3)
            loss.backward()
            optimizer.step()
            references.append([weakref.ref(tensor) for tensor in (batch, logits, loss)])
            del batch, logits, loss
        gc.collect()
        living = [[reference() is not None for reference in step] for step in references]
    nothing = [False, False, False]
    assert living == [nothing, nothing, nothing, [True, False, False]]


@pytest.mark.parametrize("every", [1, 1000])
def test_a_model_that_is_dropped_is_freed_while_tracing_goes_on(tmp_path, every):
    with tracing(tmp_path / "run", every=every):
        model = mlp()
        optimizer = torch.optim.Adam(model.parameters())
        classify(model, torch.randn(6, 4), optimizer=optimizer)
        references = [weakref.ref(model), weakref.ref(model[0].weight), weakref.ref(optimizer)]
        del model, optimizer
        gc.collect()
        assert [reference() for reference in references] == [None] * 3


def test_traces_that_are_over_keep_nothing_alive_however_much_of_them_the_program_keeps(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("NNTRACE_STRICT", "1")
    references, kept = [], []
    made = Tracer.__init__

    def noted(tracer, recorder):
        made(tracer, recorder)
        references.append(weakref.ref(tracer.parts))

    monkeypatch.setattr(Tracer, "__init__", noted)
    monkeypatch.setattr(Session, "_findings", lambda session: "")  # takes longer than all else
    for number in range(5):  # as in a notebook whose cell is run again and again
        tracing = nntrace.start(out=tmp_path / f"run-{number}", every=1)
        model = mlp()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            logits = model(torch.randn(6, 4))
            loss = functional.cross_entropy(logits, torch.arange(6) % 3)
            optimizer.zero_grad()
            loss.backward(retain_graph=True)
            optimizer.step()
        tracing.stop()
        references += map(weakref.ref, (model, optimizer))
        kept.append((tracing, logits, loss))
        del model, optimizer
    gc.collect()
    assert [reference() for reference in references] == [None] * 15
    _, logits, loss = kept[-1]
    torch.autograd.grad(loss, logits)  # the hook of `logits` is there still, and does nothing
    assert [(tmp_path / f"run-{number}").is_dir() for number in range(5)] == [True] * 5


def test_random_states_are_untouched(tmp_path):
    import random

    import numpy as np

    torch.manual_seed(3)
    before = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist())
    model, inputs, optimizer = mlp(), torch.zeros(6, 4), None
    classify(model, inputs, optimizer=optimizer)
    after_bare = torch.get_rng_state()
    torch.manual_seed(3)
    with tracing(tmp_path / "run", every=1):
        classify(mlp(), inputs)
    assert torch.equal(torch.get_rng_state(), after_bare)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before[1:]


class ByKeyword(nn.Module):
    """A model that is called with keyword arguments."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 3)

    def forward(self, *, inputs):
        return self.head(inputs)


def test_a_model_and_its_outputs_can_be_saved_and_copied_between_sampled_steps(tmp_path):
    model = ByKeyword()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with tracing(tmp_path / "run", every=1):
        for _ in range(3):
            logits = model(inputs=torch.randn(6, 4))
            functional.cross_entropy(logits, torch.arange(6) % 3).backward()
            optimizer.step()
            torch.save((model, logits, optimizer), io.BytesIO())
            copied = copy.deepcopy(model)
            assert not copied._forward_hooks
            assert not copied._forward_pre_hooks
