"""Optimizers that one line builds again and again."""

import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import layers
from nntrace_keras.program.schedules import ScheduleObserver
from tracing import payloads

from nntrace.schema import EventKind, Role


def program():
    keras.utils.set_random_seed(0)
    x = np.ones((8, 3), "float32")
    models = [keras.Sequential([layers.Input((3,)), layers.Dense(1)]) for _ in range(2)]
    for model in (models[0], models[0], models[1], models[0]):
        model.compile(keras.optimizers.Adam(0.1), "mse", run_eagerly=True)
        model.fit(x, x[:, :1], batch_size=8, verbose=0)


def test_an_optimizer_built_again_for_the_same_weights_is_counted(trace_keras):
    built = payloads(trace_keras(program), EventKind.OPTIMIZER)
    assert [one["built"] for one in built] == [1, 2, 1, 3]
    assert [one["replaces"] for one in built] == [None, "Adam", None, "Adam"]
    assert {one["cell"] for one in built} == {None}


def test_an_optimizer_tells_in_which_cell_of_a_notebook_it_steps(trace_keras, monkeypatch):
    shell = SimpleNamespace(execution_count=7)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    built = trace_keras(program).events_of(EventKind.OPTIMIZER)
    assert {event.payload["cell"] for event in built} == {7}


@pytest.mark.parametrize("eagerly", [False, True])
def test_a_step_that_a_loss_scale_skips_is_a_row_that_says_so(trace_keras, eagerly):
    def scaled():
        keras.utils.set_random_seed(0)
        x = np.ones((8, 3), "float32")
        model = keras.Sequential([layers.Input((3,)), layers.Dense(1)])
        inner = keras.optimizers.SGD(1e-3)
        optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=2.0**127)
        model.compile(optimizer, "mse", run_eagerly=eagerly, jit_compile=False)
        model.fit(x, x[:, :1] - 20, batch_size=4, epochs=5, verbose=0)

    steps = trace_keras(scaled).steps
    skips = int(steps.skipped.sum())
    assert 0 < skips < len(steps) == 10
    assert steps.skipped.tolist() == [True] * skips + [False] * (10 - skips)
    assert not (steps.skipped & steps.sampled).any()
    halves = 2.0 ** (127 - np.minimum(np.arange(10), skips))
    assert steps.loss_scale.tolist() == halves.tolist()
    assert 100 < steps.loss.max() < 1000  # of the loss, not of what the scale made of it


def test_gradients_of_activations_are_recorded_without_the_loss_scale(trace_keras):
    def program(scale):
        keras.utils.set_random_seed(0)
        optimizer = keras.optimizers.SGD(1e-3)
        if scale:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=scale)
        model = keras.Sequential([layers.Input((3,)), layers.Dense(2), layers.Dense(1)])
        model.compile(optimizer, "mse", jit_compile=False)
        model.fit(np.ones((8, 3)), np.ones((8, 1)), batch_size=8, verbose=0)

    plain, scaled = (
        trace_keras(lambda scale=scale: program(scale)).series(Role.ACTIVATION_GRAD, "rms")
        for scale in (None, 1024.0)
    )
    assert (plain > 0).any()
    np.testing.assert_allclose(scaled, plain, rtol=1e-6)


def test_steps_pass_together_unless_a_schedule_has_something_to_record_at_one_of_them():
    schedules = ScheduleObserver(SimpleNamespace(add_event=lambda *_: None), None)
    schedules._payloads["adam"] = {}
    for _ in range(16):
        schedules.stepped("adam")
    assert schedules.passes("adam", 1)
    assert not schedules.passes("adam", 1)  # the 18th
    assert schedules.passes("sgd", 100)
    schedules.stepped("adam")
    assert schedules._calls == {"adam": 18}
