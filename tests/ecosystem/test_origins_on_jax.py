"""Keras on JAX: the origin of a NaN is named by operation, layer and line."""

import math
from pathlib import Path

import pytest
from keras_on_jax import PROGRAMS, traced_runs

from nntrace.rules.numerics.origins import origins
from nntrace.schema import EventKind
from nntrace.trace import Trace

PROGRAM = PROGRAMS / "broken.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The runs of models that break, each in a way of its own."""
    return traced_runs("broken.py", tmp_path_factory.mktemp("broken-on-jax"))[1]


def origin(folder, name):
    trace = Trace.open(folder / name)
    assert not trace.events_of(EventKind.ERROR)
    [found] = origins(trace)
    return found


@pytest.mark.parametrize(
    ("name", "where", "op", "text"),
    [
        ("layer", "forward", "exp", "ops.exp(inputs * 1000.0)"),
        ("loss", "loss", "div", "prediction / (target - target)"),
        ("derivative", "backward", "sqrt", "ops.sqrt("),
        ("later", "forward", "exp", "ops.exp(ops.stop_gradient(inputs))"),
    ],
)
def test_the_operation_and_the_line_are_named(folder, name, where, op, text):
    found = origin(folder, name)
    assert found.where == where
    assert op in (found.text("op"), found.text("derivative"))
    assert found.location is not None
    assert Path(found.location.file) == PROGRAM
    assert text in PROGRAM.read_text().splitlines()[found.location.line - 1]


def test_the_layer_is_named_as_its_site(folder):
    found = origin(folder, "layer")
    assert (found.text("module"), found.text("module_type")) == (
        "sequential/exponential",
        "Exponential",
    )
    assert "exceeds float32" in found.text("what")


def test_an_operand_is_that_of_the_operation_whose_derivative_broke(folder):
    found = origin(folder, "derivative")
    assert (found.seen_in, found.text("what")) == ("gradient", "an operand is 0")
    assert found.facts["parameters"] == ["sequential_2/first/kernel", "sequential_2/first/bias"]


@pytest.mark.parametrize(
    ("name", "given", "index"), [("input", "input.0", [8, 2]), ("target", "mse_loss", [9, 0])]
)
def test_what_came_with_the_batch_is_named_with_its_example(folder, name, given, index):
    found = origin(folder, name)
    assert (found.where, found.step) == ("data", 2)
    assert (found.text("given"), found.facts["index"]) == (given, index)


def test_a_step_long_after_the_last_sample_is_computed_from_the_weights_before_it(folder):
    found = origin(folder, "later")
    losses = Trace.open(folder / "later").steps.loss
    assert found.step > 32
    assert math.isfinite(losses[found.step - 1])
    assert not math.isfinite(losses[found.step])
    assert found.facts["notes"] == []


def test_a_finite_loss_does_not_let_the_step_be_forgotten_that_broke_its_weights(folder):
    found = origin(folder, "gradient")
    losses = Trace.open(folder / "gradient").steps.loss
    assert math.isfinite(losses[found.step])
    assert not math.isfinite(losses[found.step + 1])


def test_an_operation_in_a_loop_over_time_is_named_with_the_moment(folder):
    found = origin(folder, "loop")
    assert (found.where, found.text("op")) == ("forward", "exp")
    assert found.text("module").endswith("recurrent")
    assert found.number("time_step") in (1, 2, 3, 4)


def test_an_update_that_made_weights_infinite_names_them(folder):
    found = origin(folder, "update")
    assert (found.where, found.step) == ("update", 0)
    assert found.text("parameter").endswith("first/kernel")
    assert found.text("op") == "SGD"
    assert found.text("what").startswith("in its `mul` the result exceeds float32")
