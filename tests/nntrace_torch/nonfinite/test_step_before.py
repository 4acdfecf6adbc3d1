"""What is kept of the step before: enough to compute it again, and nothing that is large."""

import pytest
import torch
from nntrace_torch.data.loaders import LoaderObserver
from nntrace_torch.nonfinite import step_before
from nntrace_torch.nonfinite.step_before import StepBefore, pair
from nntrace_torch.replay.call import Call
from nntrace_torch.replay.calls import RootCalls
from nntrace_torch.replay.engine import Replayer
from nntrace_torch.samples.modules import Models
from torch import nn

from nntrace.manifest import Manifest
from nntrace.recorder import Cadence, Recorder
from nntrace.schema import RunStatus


class Kept:
    """What is kept of a model that is called step by step; nothing is trained."""

    def __init__(self, recorder, model):
        self.model, self.models = model, Models()
        self.models.owner_of(model)
        self.calls = RootCalls(recorder, Replayer())
        self.loaders = LoaderObserver(recorder)
        self.before = StepBefore(self.models, self.calls, self.loaders)
        self.number = 0

    def call(self, given):
        self.calls.kept.append(Call(self.model, (given,), {}, None, (), self.calls.micro_batch))

    def step(self, given):
        self.call(given)
        self.before.look(lambda: self.number)
        self.calls.clear()
        self.number += 1

    def pasts(self):
        return list(self.before.pasts(self.number))


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setattr(step_before, "_SHARE", 1e9)  # weights are copied at every step
    recorder = Recorder(tmp_path / "run", Manifest.begin("run", (), {}), Cadence(0.02, 1))
    yield Kept(recorder, nn.Linear(3, 2))
    recorder.close(RunStatus.FINISHED)


def test_the_step_before_has_its_arguments_and_the_weights_it_had(kept):
    first, weights = torch.randn(4, 3), kept.model.weight.detach().clone()
    kept.step(first)
    kept.model.weight.data.fill_(float("nan"))
    kept.call(torch.randn(4, 3))
    [past] = kept.pasts()
    assert past.kept[0].args[0] is first
    assert torch.equal(past.weights[id(kept.model.weight)], weights)
    assert past.age == 0


def test_the_age_of_the_weights_is_known(kept, monkeypatch):
    kept.step(torch.randn(4, 3))
    monkeypatch.setattr(kept.before, "_next_ns", 1 << 62)
    for _ in range(5):
        kept.step(torch.randn(4, 3))
    assert [past.age for past in kept.pasts()] == [5]


def test_nobody_is_asked_for_the_number_of_a_step_until_it_is_time(kept, monkeypatch):
    asked = []
    kept.before.look(lambda: asked.append(0) or 0)
    monkeypatch.setattr(kept.before, "_next_ns", 1 << 62)
    kept.before.look(lambda: asked.append(1) or 1)
    assert asked == [0]


def test_each_micro_batch_of_the_step_before_is_tried_the_last_one_first(kept):
    batches = [torch.randn(4, 3) for _ in range(3)]
    kept.step(torch.randn(4, 3))
    for number, batch in enumerate(batches):
        kept.calls.micro_batch = number
        kept.call(batch)
    kept.calls.clear()
    given = [past.kept[0].args[0] for past in kept.pasts()]
    assert [id(one) for one in given] == [id(batch) for batch in reversed(batches)]


def test_what_came_with_the_inputs_from_a_loader_has_that_of_then_in_its_place(kept):
    kept.step(torch.randn(4, 3))
    then, now = [(torch.randn(4, 3), torch.randn(4)) for _ in range(2)]
    kept.loaders.batches.append(then)
    kept.step(then[0])
    kept.loaders.batches.append(now)
    kept.call(now[0])
    [past] = kept.pasts()
    assert past.then(now[0]) is then[0]
    assert past.then(now[1]) is then[1]
    assert past.then(now) is then
    assert past.then("other") == "other"


def test_of_large_batches_nothing_is_kept(kept, monkeypatch):
    monkeypatch.setattr(step_before, "_KEPT_BYTES", 4 * 4 * 3)
    kept.step(torch.randn(4, 3))
    assert kept.calls.before
    kept.step(torch.randn(5, 3))
    assert not kept.calls.before
    assert not kept.pasts()


def test_of_a_large_model_nothing_is_kept(kept, monkeypatch):
    monkeypatch.setattr(step_before, "_COPIED_BYTES", 4)
    kept.step(torch.randn(4, 3))
    assert not kept.calls.before
    assert not kept.pasts()


def test_inputs_with_a_graph_are_not_kept_alive(kept):
    kept.step(torch.randn(4, 3, requires_grad=True) * 2)
    assert not kept.calls.before


def test_equal_numbers_and_names_do_not_stand_for_one_another():
    found = {}
    pair(
        {"x": torch.ones(2), "n": 3, "name": "a"}, {"x": torch.zeros(2), "n": 4, "name": "b"}, found
    )
    assert sorted(type(value).__name__ for value in found.values()) == ["Tensor", "dict"]
