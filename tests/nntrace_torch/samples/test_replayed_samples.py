"""What a sample finds out is replayed by the next: the values must be those found out anew."""

import gc
import weakref

import numpy as np
import pytest
import torch
from changing_programs import PROGRAMS
from nntrace_torch.program import dataflow
from nntrace_torch.samples import gradients, outputs
from nntrace_torch.samples.looks import Looks
from nntrace_torch.samples.parameter_plan import ParameterPlan
from nntrace_torch.samples.parameters import ParameterSampler
from torch import nn
from tracing import tracing

from nntrace.recorder import Recorder
from nntrace.schema import Role


def samples_of(program, run, patch):
    """For each sample what each site gave, as bytes."""
    sites, samples = {}, []
    add_site, add_sample = Recorder.add_site, Recorder.add_sample

    def declared(self, path, role, **fields):
        number = add_site(self, path, role, **fields)
        sites[number] = (path, role)
        return number

    def delivered(self, sample):
        found = {}
        for site, offset, layout in sample.sites:
            values = sample.values[offset : offset + layout.size].tobytes()
            found.setdefault(sites[site], []).append((layout, values))
        samples.append((sample.step, found))
        add_sample(self, sample)

    patch.setattr(Recorder, "add_site", declared)
    patch.setattr(Recorder, "add_sample", delivered)
    torch.manual_seed(0)
    with tracing(run) as recorder:
        program()
    patch.undo()
    assert recorder.failure is None
    return samples


@pytest.fixture
def strict(monkeypatch):
    monkeypatch.setenv("NNTRACE_STRICT", "1")
    monkeypatch.setattr(dataflow, "_LOOKS", 1)  # until then outputs are looked at one by one


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_values_are_those_that_are_found_out_anew_each_time(tmp_path, program):
    with pytest.MonkeyPatch.context() as patch:
        replayed = samples_of(program, tmp_path / "replayed", patch)
        patch.setattr(ParameterPlan, "fits", lambda *_: False)
        # Nothing is held until more is there: each output and gradient is looked at by itself.
        patch.setattr(outputs, "can_wait", lambda _: False)
        patch.setattr(gradients, "can_wait", lambda _: False)
        anew = samples_of(program, tmp_path / "anew", patch)
    assert len(replayed) >= 5
    assert replayed == anew


class ChangesItsHiddenLayer(nn.Module):
    """Writes to what its part returned, once it is told to."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 2)
        self.changes = False

    def forward(self, x):
        hidden = self.first(x)
        if self.changes:
            hidden.fill_(7.0)
        return self.last(hidden)


@pytest.mark.usefixtures("strict")
def test_an_output_that_was_written_to_before_it_was_looked_at_is_not_recorded(tmp_path):
    model = ChangesItsHiddenLayer()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def program():
        for step in range(8):
            model.changes = step == 5
            optimizer.zero_grad()
            model(torch.randn(3, 4)).sum().backward()
            optimizer.step()

    with pytest.MonkeyPatch.context() as patch:
        samples = samples_of(program, tmp_path / "run", patch)
    recorded = {step: found.get(("first", Role.ACTIVATION)) for step, found in samples}
    assert recorded[4] is not None
    assert recorded[5] is None
    assert recorded[7] is not None


@pytest.mark.usefixtures("strict")
def test_containers_that_hand_on_what_their_parts_returned_are_not_looked_at(
    trace_here, monkeypatch
):
    looked_at, look = [], Looks.at
    monkeypatch.setattr(Looks, "at", lambda *given: looked_at.append(given[1]) or look(*given))
    model = nn.Sequential(nn.Sequential(nn.Linear(4, 6), nn.Tanh()), nn.Sequential(nn.Linear(6, 2)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def program():
        for _ in range(6):
            looked_at.clear()
            optimizer.zero_grad()
            model(torch.randn(3, 4)).sum().backward()
            optimizer.step()

    trace_here(program)
    assert looked_at == [model]


def test_how_parameters_are_sampled_is_found_out_once(trace_here, monkeypatch):
    made, make = [], ParameterSampler._plan
    monkeypatch.setattr(ParameterSampler, "_plan", lambda *given: made.append(1) or make(*given))
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def program():
        for _ in range(8):
            model(torch.randn(3, 4)).sum().backward()
            optimizer.step()

    trace_here(program)
    assert len(made) <= 2  # the second when the number of sites is known


def test_the_memory_that_parameters_have_left_is_not_kept(trace_here):
    model, kept = nn.Linear(100, 100), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def program():
        for _ in range(3):
            memory = np.zeros((100, 100), dtype=np.float32)
            model.weight.data = torch.from_numpy(memory)
            kept.append(weakref.ref(memory))
            del memory
            model(torch.randn(3, 100)).sum().backward()
            optimizer.step()
        model.weight.data = torch.zeros(100, 100)
        gc.collect()
        assert [memory() for memory in kept] == [None] * 3

    trace_here(program)
