"""Keras on JAX: `fit` is followed from outside, and trains as without nntrace."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nntrace.schema import EventKind, Role
from nntrace.trace import Trace

PROGRAM = Path(__file__).parents[1] / "nntrace_keras" / "programs" / "twice.py"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What the program printed, and its trace."""
    folder = tmp_path_factory.mktemp("keras-on-jax") / "run"
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(folder)],
        env={**os.environ, "KERAS_BACKEND": "jax", "NNTRACE_STRICT": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, Trace.open(folder)


def test_losses_and_weights_are_those_of_an_untraced_run(run):
    assert run[0].strip() == "True"


def test_every_step_has_its_loss_and_rate(run):
    steps = run[1].steps
    assert steps.step.tolist() == list(range(8))
    assert steps.lr == pytest.approx(0.01)
    epochs = [event.payload["metrics"] for event in run[1].events_of(EventKind.EPOCH)]
    assert steps.loss.reshape(2, 4).mean(axis=1) == pytest.approx([e["loss"] for e in epochs])


def test_updates_are_what_each_step_changed(run):
    trace = run[1]
    name = "classifier/head/kernel"
    before = trace.series(Role.PARAM, "mean", trace.site(name, Role.PARAM))
    change = trace.series(Role.UPDATE, "mean", trace.site(name, Role.UPDATE))
    np.testing.assert_allclose(change[:-1], before[1:] - before[:-1], atol=1e-7)


def test_what_is_not_seen_is_said(run):
    (unseen,) = run[1].events_of(EventKind.UNSEEN)
    assert "gradients" in unseen.payload["what"]


def test_the_seed_that_the_program_set_is_recorded(run):
    assert [e.payload["seed"] for e in run[1].events_of(EventKind.SEED)] == ["0"]
