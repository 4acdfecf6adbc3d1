"""Experiments on their way to a child, and when a child has seen enough."""

import itertools
import os

import numpy as np
import pytest

from nntrace.experiment import Ending, Experiment


def test_an_experiment_arrives_as_it_was_sent():
    sent = Experiment("overfit", pinned=True, steps=7, folder="/a b/ü'\"")
    assert Experiment.decode(sent.encode()) == sent
    assert Experiment.decode("") is None


def test_a_baseline_and_its_repetition_interfere_with_nothing():
    assert not Experiment().interferes
    assert not Experiment("repeat", dependencies=True, steps=3).interferes
    assert Experiment("blind", inputs="zero").interferes


def test_a_file_of_the_sandbox_stands_for_the_users():
    experiment = Experiment(sandbox="/tmp/x", folder="/home/me")
    assert experiment.original(f"/tmp/x{os.sep}train.py") == f"/home/me{os.sep}train.py"
    assert experiment.original("/tmp/xy/train.py") == "/tmp/xy/train.py"
    assert experiment.original(None) is None
    within = Experiment(sandbox="/tmp/x/b/c", surroundings="/tmp/x", folder="/home/me/b/c")
    assert within.original("/tmp/x/b/c/train.py") == "/home/me/b/c/train.py"
    assert within.original("/tmp/x/b/lib/net.py") == "/home/me/b/lib/net.py"


def ended(losses, floor=None, clock=None, **settings):
    """The number of steps and the reason; None when it never ends."""
    clock = clock or (lambda: 0.0)
    ending = Ending(Experiment(**settings), clock)
    ending.floor = floor
    for number, loss in enumerate(losses):
        if (reason := ending.after_step(float(loss))) is not None:
            return number + 1, reason
    return None


def test_a_plain_experiment_ends_after_its_steps():
    assert ended(itertools.repeat(1.0), steps=30) == (30, "30 steps")


def test_an_experiment_ends_after_its_time():
    ticks = itertools.count()
    steps, reason = ended(itertools.repeat(1.0), steps=30, seconds=5, clock=lambda: next(ticks))
    assert steps == 6
    assert "5 s" in reason


def test_a_loss_far_below_its_floor_has_another_one():
    losses = np.concatenate([np.linspace(1, -5, 10), np.full(50, -5.0)])
    assert ended(losses, floor=0.4, until="fitted", steps=40)[0] == 40


def test_a_sweep_goes_over_all_rates_however_slow_the_steps_are():
    now = [0.0]
    ending = Ending(Experiment(steps=101, seconds=10.0), lambda: now[0])
    assert ending.share == 0.0
    ending.after_step(1.0)
    assert ending.share == pytest.approx(0.01)
    now[0] = 5.0
    assert ending.share == pytest.approx(0.5)
    now[0] = 20.0
    assert ending.share == 1.0


def test_a_fitted_batch_ends_after_three_steps_at_the_floor():
    losses = [1.0, 0.6, 0.4, 0.4, 0.4, 0.4]
    assert ended(losses, floor=0.4, until="fitted")[0] == 5


@pytest.mark.parametrize(("fall", "longer"), [(0.05, True), (0.0, False)])
def test_a_loss_that_still_falls_is_given_up_to_four_times_the_steps(fall, longer):
    quarters = np.repeat((1 - fall) ** np.arange(16), 10)
    steps, _ = ended(np.concatenate([quarters, np.ones(100)]), steps=40, until="fitted")
    assert (steps > 100) is longer
    assert steps <= 160


def test_a_loss_that_runs_away_ends_a_sweep():
    assert ended([1.0, 0.5, 0.4, 4.0, 4.5], until="diverged")[0] == 5
    assert ended([1.0, 0.5, float("nan")], until="diverged")[0] == 3
