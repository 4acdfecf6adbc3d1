"""The bars of a check's experiments."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console
from rich.progress import Progress, TextColumn

from nntrace.check.plan import EXPERIMENTS
from nntrace.check.progress import _Bars


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def child(tmp_path):
    def make(name):
        return SimpleNamespace(run=tmp_path / name, planned=EXPERIMENTS[name].given(100, 60.0))

    return make


def test_the_bar_of_an_experiment_that_is_over_is_full_and_its_time_stands(child, monkeypatch):
    clock = Clock()
    progress = Progress(
        TextColumn("{task.description}"), console=Console(file=io.StringIO()), get_time=clock
    )
    bars = _Bars(progress)
    steps = {"baseline": 50, "overfit": 20}
    monkeypatch.setattr(bars, "_state", lambda one: (steps[one.run.name], "loss 1"))
    baseline, overfit = child("baseline"), child("overfit")
    bars.watch([baseline, overfit])
    steps["overfit"], clock.now = 27, 5.0  # its last steps, since it was looked at
    for clock.now in (5.0, 9.0, 12.0):
        bars.watch([baseline])
    going, over = progress.tasks
    assert (over.completed, over.total, over.elapsed) == (27, 27, 5.0)
    assert (going.completed, going.total, going.elapsed) == (50, 100, 12.0)
