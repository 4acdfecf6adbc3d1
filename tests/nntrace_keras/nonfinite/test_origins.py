"""The origin of a NaN in a training graph: the operation and the line, on faulty programs."""

import inspect
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from tracing import tracing

from nntrace.rules import get_rule
from nntrace.rules.numerics.origins import origins, site_of
from nntrace.schema import EventKind
from nntrace.trace import Trace

INPUTS = np.random.default_rng(0).normal(size=(32, 6)).astype("float32")
TARGETS = np.abs(INPUTS[:, :1])


def logarithm_of_zero(target, prediction):
    return tf.reduce_mean(tf.math.log(tf.nn.relu(target - target + 0 * prediction)))


def division_by_zero(target, prediction):
    return tf.reduce_mean(prediction / (target - target))


def root_at_zero(target, prediction):
    return tf.reduce_mean(tf.sqrt(0.0 * tf.square(target - prediction)))


def error(target, prediction):
    return tf.reduce_mean(tf.square(target - prediction))


@keras.saving.register_keras_serializable("origins")
class Growing(layers.Layer):
    def call(self, inputs):
        return tf.exp(inputs * 1000.0)


@keras.saving.register_keras_serializable("origins")
class Undefined(layers.Layer):
    def call(self, inputs):
        return tf.math.log(-tf.abs(inputs) - 1.0)


@keras.saving.register_keras_serializable("origins")
class Root(layers.Layer):
    def call(self, inputs):
        return tf.sqrt(inputs + 100.0)


def program(*between):
    return keras.Sequential(
        [keras.Input((6,)), layers.Dense(8, name="first"), *between, layers.Dense(1, name="head")]
    )


def line_of(function, text):
    lines, first = inspect.getsourcelines(function)
    return next(first + n for n, line in enumerate(lines) if text in line)


def fitted(model, loss, inputs, targets):
    model.compile(keras.optimizers.SGD(0.01), loss=loss, jit_compile=False)
    model.fit(inputs, targets, batch_size=16, verbose=0)


def training_step(model, loss):
    optimizer = keras.optimizers.SGD(0.01)

    @tf.function
    def train(inputs, targets):
        with tf.GradientTape() as tape:
            value = loss(targets, model(inputs, training=True))
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(value, variables), variables, strict=True))
        return value

    return train


def stepped(model, loss, inputs, targets):
    """One step, of which less is to be built than of `fit`."""
    training_step(model, loss)(tf.constant(inputs[:2]), tf.constant(targets[:2]))


def origin(folder, model, loss, inputs=INPUTS, targets=TARGETS, trained=fitted):
    with tracing(folder, framework="keras") as recorder:
        keras.utils.set_random_seed(0)
        trained(model, loss, inputs, targets)
    assert recorder.failure is None
    trace = Trace.open(folder)
    assert not trace.events_of(EventKind.ERROR)
    found = origins(trace)
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("loss", "text", "where", "op", "trained"),
    [
        (logarithm_of_zero, "tf.math.log(", "loss", "log", stepped),
        (division_by_zero, "/", "loss", "div", fitted),
        (root_at_zero, "tf.sqrt(", "backward", "sqrt", stepped),
    ],
)
def test_the_operation_and_the_line_of_a_loss_are_named(tmp_path, loss, text, where, op, trained):
    found = origin(tmp_path / "run", program(), loss, trained=trained)
    assert (found.where, found.step) == (where, 0)
    assert op in (found.text("op"), found.text("derivative"))
    assert found.location is not None
    assert (found.location.file, found.location.line) == (__file__, line_of(loss, text))


def test_an_overflow_in_a_layer_names_the_layer_and_the_line(tmp_path):
    found = origin(tmp_path / "run", program(Growing(name="growing")), error)
    assert (found.where, found.text("op")) == ("forward", "exp")
    assert site_of(Trace.open(tmp_path / "run"), found).module_type == "Growing"
    assert "exceeds float32" in found.text("what")
    assert found.location is not None
    assert found.location.line == line_of(Growing, "tf.exp")


def test_an_origin_is_found_through_the_loop_of_a_recurrent_layer(tmp_path):
    model = keras.Sequential(
        [keras.Input((6,)), Undefined(), layers.Reshape((6, 1)), layers.GRU(3), layers.Dense(1)]
    )
    found = origin(tmp_path / "run", model, error)
    assert (found.where, found.text("op")) == ("forward", "log")
    assert found.location is not None
    assert found.location.line == line_of(Undefined, "tf.math.log")


def test_a_batch_that_holds_nan_is_named(tmp_path):
    inputs = INPUTS.copy()
    inputs[1:, 3] = np.nan
    found = origin(tmp_path / "run", program(), error, inputs=inputs, trained=stepped)
    assert (found.where, found.text("given")) == ("data", "input.0")
    assert found.facts["index"] == [1, 3]


def test_a_batch_that_holds_an_infinity_is_named_though_a_layer_makes_nan_of_it(tmp_path):
    inputs = INPUTS.copy()
    inputs[5, 2:4] = -np.inf  # times weights of either sign
    found = origin(tmp_path / "run", program(), error, inputs=inputs)
    assert (found.where, found.text("given"), found.text("kind")) == ("data", "input.0", "inf")


def masked_by_infinity(target, prediction):
    return tf.reduce_mean(tf.square(target - prediction) + 0 * tf.constant([np.inf, 1.0]))


def test_an_infinity_of_the_program_is_told_beside_the_operation_that_makes_nan_of_it(tmp_path):
    found = origin(tmp_path / "run", program(), masked_by_infinity)
    assert (found.where, found.text("op")) == ("loss", "mul")
    assert "holds infinities" in found.text("what")


def test_targets_that_hold_nan_are_named(tmp_path):
    found = origin(tmp_path / "run", program(), error, targets=TARGETS * np.nan)
    assert found.where == "data"


@pytest.mark.parametrize("xla", [False, True])
def test_under_fit_the_batch_of_a_step_that_is_not_sampled_is_searched(tmp_path, xla):
    inputs = np.tile(INPUTS, (20, 1))
    inputs[34 * 16 + 3, 2] = -1e4
    with tracing(tmp_path / "run", framework="keras", every=50) as recorder:
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((6,)), Root(), layers.Dense(1)])
        model.compile(keras.optimizers.SGD(1e-4), loss=error, jit_compile=xla)
        targets = np.ones((len(inputs), 1))
        model.fit(inputs, targets, batch_size=16, verbose=0, shuffle=False)
    assert recorder.failure is None
    (found,) = origins(Trace.open(tmp_path / "run"))
    assert (found.where, found.step, found.text("op")) == ("forward", 34, "sqrt")
    assert "an operand is -9900" in found.text("what")
    assert found.location is not None
    assert found.location.line == line_of(Root, "tf.sqrt")
    assert found.facts["notes"] == ["computed with the weights of 2 steps before"]


@pytest.mark.parametrize("xla", [False, True])
def test_gradients_that_break_behind_a_finite_loss_are_found_a_step_later(tmp_path, xla):
    inputs = np.tile(INPUTS, (10, 1))
    inputs[17 * 16 + 3, 2] = np.inf  # tanh makes 1 of it, and its slope times it is NaN
    with tracing(tmp_path / "run", framework="keras", every=18) as recorder:  # step 18, not 17
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((6,)), layers.Dense(1, activation="tanh")])
        model.compile(keras.optimizers.SGD(1e-4), loss=error, jit_compile=xla)
        targets = np.ones((len(inputs), 1))
        model.fit(inputs, targets, batch_size=16, verbose=0, shuffle=False)
    assert recorder.failure is None
    trace = Trace.open(tmp_path / "run")
    assert np.flatnonzero(~np.isfinite(trace.steps.loss)).tolist() == [18, 19]
    (found,) = origins(trace)
    assert (found.where, found.text("given"), found.text("kind")) == ("data", "input.0", "inf")
    assert (found.step, found.seen_in) == (17, "gradient")


def eager_training(seed):
    """Two steps, of which the second breaks; what was drawn and averaged in the end."""
    keras.utils.clear_session()  # in Keras 3.7 a seed leaves a used generator as it is
    keras.utils.set_random_seed(seed)
    inputs = np.where(np.arange(32)[:, None] < 16, 0.0, INPUTS).astype("float32")
    norm = layers.BatchNormalization()
    between = [norm, layers.Dropout(0.2), layers.GaussianNoise(1e-3), layers.Rescaling(1e3), Root()]
    model = keras.Sequential([keras.Input((6,)), *between, layers.Dense(1)])
    model.compile(keras.optimizers.SGD(1e-4), loss=error, run_eagerly=True)
    model.fit(inputs, np.ones((32, 1)), batch_size=16, verbose=0, shuffle=False)
    return [norm.moving_mean.numpy(), keras.random.normal((2,)), tf.random.normal([2])]


def test_of_an_eager_step_the_operation_and_the_line_are_named(tmp_path):
    bare = eager_training(3)
    with tracing(tmp_path / "run", framework="keras", every=50) as recorder:
        traced = eager_training(3)
    assert recorder.failure is None
    (found,) = origins(Trace.open(tmp_path / "run"))
    assert (found.where, found.step, found.text("op")) == ("forward", 1, "sqrt")
    assert found.location is not None
    assert found.location.line == line_of(Root, "tf.sqrt")
    for one, other in zip(bare, traced, strict=True):
        np.testing.assert_array_equal(one, other)


@keras.saving.register_keras_serializable("origins")
class Length(layers.Layer):
    def call(self, inputs):
        return tf.sqrt(tf.reduce_sum(inputs * inputs, axis=-1, keepdims=True))


def eager_lengths(model, length=lambda outputs: outputs):
    """Four steps, the second of which differentiates a length of 0; weights at the end."""
    optimizer = keras.optimizers.SGD(1e-3)
    for step in range(4):
        inputs = INPUTS[:8] * np.array([[0.0] if step == 1 and n == 3 else [1.0] for n in range(8)])
        with tf.GradientTape() as tape:
            loss = error(TARGETS[:8], length(model(inputs.astype("float32"), training=True)))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    return model.get_weights()


def unbiased(*after):
    keras.utils.set_random_seed(0)
    between = [
        layers.Dense(8, use_bias=False),
        layers.Dropout(0.2),
        layers.Dense(4, use_bias=False),
    ]
    return keras.Sequential([keras.Input((6,)), *between, *after])


def length_of(outputs):
    return tf.sqrt(tf.reduce_sum(outputs * outputs, axis=-1, keepdims=True))


@pytest.mark.parametrize(
    ("layer", "function", "line"),
    [
        ((Length,), lambda o: o, line_of(Length, "sqrt")),
        ((), length_of, line_of(length_of, "sqrt")),
    ],
    ids=["in a layer", "between layers and loss"],
)
def test_of_an_eager_step_the_operation_whose_derivative_breaks_is_named(
    tmp_path, layer, function, line
):
    bare = eager_lengths(unbiased(*(kind() for kind in layer)), function)
    with tracing(tmp_path / "run", framework="keras", every=1) as recorder:
        traced = eager_lengths(unbiased(*(kind() for kind in layer)), function)
    assert recorder.failure is None
    (found,) = origins(Trace.open(tmp_path / "run"))
    assert (found.where, found.step, found.text("derivative")) == ("backward", 1, "sqrt")
    assert (found.seen_in, found.text("what")) == ("gradient", "an operand is 0")
    assert found.text("module_type") == ("Length" if layer else "")
    assert found.location is not None
    assert found.location.line == line
    for one, other in zip(bare, traced, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_eager_derivative_that_breaks_at_the_last_step_is_told_without_its_line(tmp_path):
    model, optimizer = unbiased(), keras.optimizers.SGD(1e-3)
    with tracing(tmp_path / "run", framework="keras", every=1) as recorder:
        with tf.GradientTape() as tape:
            loss = error(TARGETS[:8], length_of(model(INPUTS[:8] * 0)))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    assert recorder.failure is None
    (found,) = origins(Trace.open(tmp_path / "run"))
    assert (found.where, found.text("derivative"), found.location) == ("backward", "sqrt", None)


def test_of_an_eager_step_the_example_that_is_not_finite_is_named(tmp_path):
    with tracing(tmp_path / "run", framework="keras") as recorder:
        model = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
        model.compile(keras.optimizers.SGD(1e-4), loss="mse", run_eagerly=True)
        inputs = np.ones((4, 2), np.float32)
        inputs[2, 1] = np.nan
        model.fit(inputs, np.ones((4, 1)), batch_size=4, verbose=0, shuffle=False)
    assert recorder.failure is None
    (found,) = origins(Trace.open(tmp_path / "run"))
    assert (found.where, found.facts["index"]) == ("data", [2, 1])


def test_the_weights_of_before_an_explosion_are_those_of_the_step(tmp_path):
    with tracing(tmp_path / "run", framework="keras", every=50) as recorder:
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((6,)), layers.Dense(8), layers.Dense(1)])
        model.compile(keras.optimizers.SGD(1.0), loss=error, jit_compile=True)
        model.fit(np.tile(INPUTS, (10, 1)), np.tile(TARGETS, (10, 1)), batch_size=16, verbose=0)
    assert recorder.failure is None
    (found,) = origins(Trace.open(tmp_path / "run"))
    assert found.step > 0
    assert found.where in ("forward", "loss")
    assert found.facts["notes"] == []


def test_a_step_that_is_not_sampled_is_searched_with_earlier_weights(tmp_path):
    run = tmp_path / "run"
    with tracing(run, framework="keras", every=50) as recorder:
        keras.utils.set_random_seed(0)
        train = training_step(program(), error)
        for step in range(40):
            train(tf.constant(INPUTS if step != 36 else INPUTS * np.nan), tf.constant(TARGETS))
    assert recorder.failure is None
    (found,) = origins(Trace.open(run))
    assert (found.where, found.text("given"), found.step) == ("data", "input.0", 36)
    assert found.facts["notes"] == ["computed with the weights of 4 steps before"]


def loop_that_asks(model, question, loss, broken=2):
    """Trains eagerly and leaves out the batches whose loss is not finite."""
    optimizer = keras.optimizers.SGD(0.01)

    def train():
        for number in range(5):
            with tf.GradientTape() as tape:
                scale = 0.0 if number == broken else 1.0
                value = loss(TARGETS * scale, model(INPUTS * scale, training=True))
            if question(value):
                continue
            variables = model.trainable_variables
            optimizer.apply(tape.gradient(value, variables), variables)

    return train


@pytest.mark.parametrize(
    "question",
    [
        lambda loss: bool(tf.math.is_nan(loss)),
        lambda loss: not math.isfinite(loss),
        lambda loss: not np.isfinite(loss.numpy()),
        lambda loss: not keras.ops.isfinite(loss),
        lambda loss: np.isnan(loss) or np.isinf(loss),
    ],
)
def test_a_batch_that_an_eager_loop_leaves_out_is_told_of(trace_keras, question):
    def dividing(inputs):
        return inputs / tf.reduce_max(tf.abs(inputs), axis=-1, keepdims=True)

    scaled = layers.Lambda(dividing, name="dividing")
    model = keras.Sequential([keras.Input((6,)), scaled, layers.Dense(1)])
    trace = trace_keras(loop_that_asks(model, question, keras.losses.MeanSquaredError()))
    [origin] = origins(trace)
    assert (len(trace.steps), origin.step, origin.where) == (4, 2, "forward")
    assert origin.facts["module"].endswith("dividing")
    assert origin.facts["op"] == "div"
    [finding] = get_rule("NUM08").run(trace, {})
    assert "the batch was skipped" in finding.message


def test_a_loss_of_ones_own_that_is_left_out_is_told_of_at_the_question(trace_keras):
    def loss(target, prediction):
        return tf.reduce_mean(prediction / tf.reduce_max(target))

    trace = trace_keras(loop_that_asks(program(), lambda value: not math.isfinite(value), loss))
    [origin] = origins(trace)
    assert (origin.step, origin.where) == (2, "unknown")
    assert origin.location.file == __file__
    [finding] = get_rule("NUM08").run(trace, {})
    assert finding.message.startswith("step 2: the loss is not finite")


def test_numbers_that_are_not_finite_beside_a_healthy_training_are_nobodys_business(trace_keras):
    def question(value):
        return np.isnan(tf.constant(float("nan"))) and not np.isfinite(value)

    loss = keras.losses.MeanSquaredError()
    trace = trace_keras(loop_that_asks(program(), question, loss, broken=None))
    assert (len(trace.steps), origins(trace)) == (5, ())
