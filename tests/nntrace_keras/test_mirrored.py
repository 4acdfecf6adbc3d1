"""Keras under `tf.distribute.MirroredStrategy`: two replicas on virtual processors of one."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nntrace.schema import EventKind, Role
from nntrace.trace import Trace

PROGRAM = Path(__file__).with_name("programs") / "mirrored.py"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What the program printed, and its trace."""
    folder = tmp_path_factory.mktemp("mirrored") / "run"
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(folder)],
        env={**os.environ, "KERAS_BACKEND": "tensorflow", "NNTRACE_STRICT": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, Trace.open(folder)


def test_losses_and_weights_are_those_of_an_untraced_run(run):
    assert run[0].strip() == "True"


def test_a_step_is_recorded_once_with_the_loss_and_the_examples_of_all_replicas(run):
    steps = run[1].steps
    assert steps.step.tolist() == list(range(8))
    assert steps.batch_size.tolist() == [16] * 8
    assert steps.lr == pytest.approx(0.01)
    epochs = [event.payload.get("metrics") for event in run[1].events_of(EventKind.EPOCH)]
    losses = [metrics["loss"] for metrics in epochs if metrics]
    assert steps.loss.reshape(2, 4).mean(axis=1) == pytest.approx(losses, rel=1e-5)


def test_updates_are_what_each_step_changed(run):
    trace = run[1]
    name = "net/head/kernel"
    before = trace.series(Role.PARAM, "mean", trace.site(name, Role.PARAM))
    change = trace.series(Role.UPDATE, "mean", trace.site(name, Role.UPDATE))
    np.testing.assert_allclose(change[:-1], before[1:] - before[:-1], atol=1e-7)


def test_layers_are_recorded_once(run):
    activations = [site.path for site in run[1].sites_of(Role.ACTIVATION)]
    assert activations == ["net/hidden", "net/head"]
