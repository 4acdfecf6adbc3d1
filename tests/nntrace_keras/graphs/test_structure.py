"""What is read off the graph of a training step, on one program that has a little of everything."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from nntrace_keras.program.objective import Term, sum_of
from nntrace_keras.program.sources import caller
from tracing import payloads, tracing

from nntrace.dataflow import Vertex
from nntrace.rules.common.flow import Flow
from nntrace.schema import EventKind, Role
from nntrace.trace import Trace


def capped_error(target, prediction):
    return tf.minimum(tf.square(target - prediction), 0.5)


def model() -> keras.Model:
    """Two dense layers with nothing between, dropout before a norm, a norm called twice."""
    inputs = layers.Input((6,))
    trunk = layers.Dense(8, name="trunk", trainable=False)(inputs)
    norm = layers.BatchNormalization(name="norm")
    hidden = layers.ReLU(name="relu")(norm(trunk))
    hidden = norm(hidden)
    branch = layers.Dense(8, activation="tanh", kernel_regularizer="l2", name="branch")(hidden)
    hidden = layers.Dropout(0.2, name="dropout")(hidden + branch)
    hidden = layers.BatchNormalization(name="after")(hidden)
    return keras.Model(inputs, layers.Dense(1, name="two")(layers.Dense(8, name="one")(hidden)))


@pytest.fixture(scope="module")
def trace(tmp_path_factory) -> Trace:
    run = tmp_path_factory.mktemp("structure") / "run"
    random = np.random.default_rng(0)
    inputs = random.normal(size=(64, 6)).astype("float32")
    targets = random.normal(size=(64, 1)).astype("float32")
    with tracing(run, framework="keras") as recorder:
        keras.utils.set_random_seed(0)
        rate = keras.optimizers.schedules.CosineDecay(0.01, 5)
        program = model()
        program.compile(keras.optimizers.SGD(rate), loss=capped_error, jit_compile=False)
        program.fit(inputs, targets, epochs=2, batch_size=16, verbose=0)
    assert recorder.failure is None
    return Trace.open(run)


def test_layers_feed_what_takes_their_output(trace):
    flow = Flow(trace)
    one, two = Vertex("one"), Vertex("two")
    assert flow.only_taker(one) == two
    assert flow.takers[Vertex("dropout")] == {Vertex("after")}
    assert flow.sources[one] == {Vertex("after")}


def test_an_activation_function_inside_a_layer_stands_behind_it(trace):
    flow = Flow(trace)
    (behind,) = flow.takers[Vertex("branch")]
    assert behind.name == ":tanh"
    (total,) = flow.takers[behind]
    assert total.name == ":add"
    assert flow.sources[total] == {behind, Vertex("norm")}
    assert flow.takers[total] == {Vertex("dropout")}


def test_the_objective_is_taken_apart(trace):
    (objective,) = payloads(trace, EventKind.OBJECTIVE)
    assert objective["terms"] == ["capped_error", "penalty"]
    assert objective["clamped"] is True
    assert objective["file"] == __file__
    kernel = trace.site("branch/kernel", Role.PARAM)
    squares = trace.series(Role.PARAM, "rms", kernel)[3] ** 2 * kernel.numel
    batch = trace.batches[3]
    assert batch.term_names == ("capped_error", "penalty")
    assert batch.term_values[1] == pytest.approx(0.01 * squares, rel=1e-4)
    assert sum(batch.term_values) == pytest.approx(trace.steps.loss[3], rel=1e-5)


@pytest.mark.parametrize(("reduce", "is_sum"), [(tf.reduce_sum, True), (tf.reduce_mean, False)])
def test_losses_that_the_program_adds_up_are_a_sum(reduce, is_sum):
    with tf.Graph().as_default():
        losses = tf.square(tf.constant([1.0, 2.0]))
        objective = [Term("other", 1.0, reduce(losses), False)]
        assert (sum_of(objective, losses) is objective[0].tensor) is is_sum


def test_a_line_that_autograph_rewrote_is_the_one_of_the_program():
    look, lines = tf.autograph.experimental.do_not_convert(caller), []

    @tf.function
    def step():
        lines.append(look())

    step()
    first = step.python_function.__code__.co_firstlineno
    assert lines == [(__file__, first + 2)]


def test_the_share_that_a_clamp_cuts_off_is_that_of_the_losses_above_it(trace):
    shares = [batch.clamped_fraction for batch in trace.batches]
    assert all(0 < share < 1 for share in shares)
    assert all((16 * share) % 1 == 0 for share in shares)  # of 16 examples


def test_a_batch_norm_that_is_called_twice_is_named_once(trace):
    assert [found["path"] for found in payloads(trace, EventKind.REUSED)] == ["norm"]


def test_a_frozen_weight_is_recorded_once(trace):
    frozen = trace.site("trunk/kernel", Role.PARAM)
    assert frozen.requires_grad is False
    assert trace.site("one/kernel", Role.PARAM).requires_grad is True
    spread = trace.series(Role.PARAM, "std", frozen)
    assert spread[0] > 0
    assert np.isnan(spread[1:]).all()


def test_a_frozen_weight_is_recorded_where_the_graph_that_saw_it_first_never_runs(tmp_path):
    """The last batch is smaller: the step is built a second time before its first call."""
    with tracing(tmp_path / "run", framework="keras") as recorder:
        program = keras.Sequential(
            [layers.Input((2,)), layers.Dense(4, trainable=False, name="trunk"), layers.Dense(1)],
            name="net",
        )
        program.compile(keras.optimizers.SGD(0.01), loss="mse", jit_compile=False)
        program.fit(np.zeros((6, 2)), np.zeros((6, 1)), batch_size=4, verbose=0)
    assert recorder.failure is None
    trace = Trace.open(tmp_path / "run")
    frozen = trace.site("net/trunk/kernel", Role.PARAM)
    assert np.isfinite(trace.series(Role.PARAM, "std", frozen)).sum() == 1


def test_a_schedule_counts_the_steps_of_its_optimizer(trace):
    schedules = payloads(trace, EventKind.SCHEDULER)
    assert schedules[-1]["class"] == "CosineDecay"
    assert (schedules[-1]["calls"], schedules[-1]["horizon"]) == (8, 5)
    assert schedules[-1]["file"] == __file__


def test_the_device_is_told(trace):
    (device,) = payloads(trace, EventKind.DEVICE)
    assert device["device"] == "cpu"


class BuiltWhenCalled(keras.Model):
    """Keras calls it once in vain to learn its shapes, under the tape of the first step."""

    def __init__(self):
        super().__init__()
        self.one, self.two = layers.Dense(4, "relu"), layers.Dense(1)

    def call(self, inputs):
        return self.two(self.one(inputs))


def test_a_model_that_is_built_under_the_tape_is_followed_from_its_first_step(trace_keras):
    inputs = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")

    def train():
        built, optimizer = BuiltWhenCalled(), keras.optimizers.SGD(0.1)
        for _ in range(2):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(built(inputs, training=True) ** 2)
            variables = built.trainable_variables
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    found = trace_keras(train)
    assert found.sampled_steps.tolist() == [0, 1]
    assert len(found.sites_of(Role.ACTIVATION)) == 2


def test_the_cell_of_a_recurrent_layer_is_no_layer_of_its_own(trace_keras):
    """Eagerly it is called for each place, and at the first one all examples may be alike."""

    def program():
        model = keras.Sequential([layers.Input((3, 2)), layers.GRU(4), layers.Dense(1)])
        optimizer = keras.optimizers.SGD(0.1)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(tf.ones((5, 3, 2)), training=True))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    kinds = [site.module_type for site in trace_keras(program).sites_of(Role.ACTIVATION)]
    assert kinds[-2:] == ["GRU", "Dense"]
    assert "GRUCell" not in kinds


def test_norms_that_bring_statistics_with_them_are_counted(trace_keras):
    def program(norm):
        model = keras.Sequential([layers.Input((2,)), norm, layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(np.ones((8, 2)), np.ones((8, 1)), verbose=0)

    used = layers.BatchNormalization()
    traces = trace_keras(lambda: program(used)), trace_keras(lambda: program(used))
    modes = [next(iter(trace.events_of(EventKind.MODE))).payload for trace in traces]
    assert [mode["norm_trained"] for mode in modes] == [0, 1]


@pytest.mark.parametrize("graph", [True, False])
def test_rows_of_an_embedding_that_are_touched_several_times_are_added_up_in_the_norm(
    trace_keras, graph
):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([layers.Input((5,)), layers.Embedding(500, 3), layers.Flatten()])
    model.add(layers.Dense(1))
    words, targets = tf.constant([[7, 7, 7, 1, 2], [7, 1, 9, 9, 9]]), tf.ones((2, 1))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(words, training=True) - targets) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    norm = tf.linalg.global_norm([tf.convert_to_tensor(gradient) for gradient in gradients])
    model.compile("sgd", "mse", run_eagerly=not graph, jit_compile=False)
    trace = trace_keras(lambda: model.fit(words, targets, batch_size=2, verbose=0))
    assert trace.steps.grad_norm[0] == pytest.approx(float(norm), rel=1e-5)


class TwoViews(keras.Model):
    """Predicts the projection of one view from that of another, whose gradient is stopped."""

    def __init__(self):
        super().__init__()
        self.project = layers.Dense(8, name="project")
        self.predict_other = layers.Dense(8, name="predict")

    def train_step(self, data):
        views, _ = data
        with tf.GradientTape() as tape:
            one, two = self.project(views), self.project(-views)
            target = tf.identity(two)
            loss = tf.reduce_mean(tf.square(self.predict_other(one) - tf.stop_gradient(target)))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}


def test_an_output_whose_gradient_is_stopped_is_used_as_well(tmp_path):
    inputs = np.random.default_rng(0).normal(size=(64, 6)).astype("float32")
    with tracing(tmp_path / "run", framework="keras") as recorder:
        program = TwoViews()
        program.compile(keras.optimizers.SGD(0.01), jit_compile=False)
        program.fit(inputs, inputs, batch_size=16, verbose=0)
    assert recorder.failure is None
    flow = Flow(Trace.open(tmp_path / "run"))
    taken = {vertex.name for vertex in flow.takers[Vertex("project")]}
    assert taken == {"predict", ":detach"}
