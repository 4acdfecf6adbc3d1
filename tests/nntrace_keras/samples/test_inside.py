"""What is recorded inside of layers and of clipping, against NumPy: one net in a graph, eagerly."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from tracing import tracing

from nntrace.schema import EventKind, Role
from nntrace.trace import Trace

LIMIT = 0.05
KEYS = 6


class Data:
    """One batch, all of which is sampled, and the net as it was before the first step."""

    def __init__(self, *, clip):
        keras.utils.set_random_seed(0)
        random = np.random.default_rng(0)
        self.inputs = random.normal(size=(4, KEYS, 8)).astype("float32")
        self.targets = random.normal(size=(4, 1)).astype("float32")
        start = layers.Input((KEYS, 8))
        self.attention = layers.MultiHeadAttention(2, 4, name="attention")
        hidden = self.attention(start, start, use_causal_mask=True)
        self.entered = keras.Model(start, hidden)
        norm = layers.BatchNormalization(name="norm", momentum=0.5)
        hidden = layers.Dense(600, name="wide")(norm(hidden))
        hidden = layers.GlobalAveragePooling1D()(hidden)
        self.net = keras.Model(start, layers.Dense(1, name="head")(hidden))
        norm.moving_mean.assign(np.full(8, 0.5, "float32"))
        wide = self.net.get_layer("wide").kernel
        wide.assign(np.where(np.arange(600) < 200, 0.0, wide.numpy()))
        self.optimizer = keras.optimizers.SGD(0.0, **clip)

    def gradients(self):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self.net(self.inputs, training=True) - self.targets) ** 2)
        return [g.numpy() for g in tape.gradient(loss, self.net.trainable_variables)]


@pytest.fixture(scope="module", params=["graph", "eager"])
def run(request, tmp_path_factory):
    data = Data(clip={"clipnorm": LIMIT})
    entered = data.entered.predict(data.inputs, verbose=0)
    _, rows = data.attention(
        data.inputs, data.inputs, use_causal_mask=True, return_attention_scores=True
    )
    folder = tmp_path_factory.mktemp("inside") / "run"
    with tracing(folder, framework="keras") as recorder:
        data.net.compile(
            data.optimizer, "mse", jit_compile=False, run_eagerly=request.param == "eager"
        )
        data.net.fit(data.inputs, data.targets, batch_size=4, epochs=2, verbose=0)
    assert recorder.failure is None
    return Trace.open(folder), entered, rows.numpy(), data.gradients()


def test_a_norm_sees_its_input_by_the_statistics_it_had_before_the_step(run):
    trace, entered, *_ = run
    mean, variance = np.full(8, 0.5), np.ones(8)
    for rms in trace.series(Role.RUNNING_NORM, "rms", trace.site("norm", Role.RUNNING_NORM)):
        assert rms == pytest.approx(
            np.sqrt((((entered - mean) ** 2) / (variance + 1e-3)).mean()), rel=1e-3
        )
        mean = (mean + entered.mean((0, 1))) / 2
        variance = (variance + entered.var((0, 1))) / 2
    first = trace.events_of(EventKind.MODE)[0].payload
    assert first["norm_trained"] == 1  # its mean is not 0


def test_the_entropy_of_attention_is_that_of_its_rows_relative_to_even_ones(run):
    trace, _, rows, _ = run  # [examples, heads, queries, keys]
    entropy = -(rows * np.log(np.maximum(rows, 1e-30))).sum(-1)[..., 1:]  # the first sees one key
    relative = entropy / np.log(np.arange(2, KEYS + 1))
    site = trace.site("attention", Role.ATTENTION)
    assert site.units == 2
    assert trace.series(Role.ATTENTION, "mean", site)[0] == pytest.approx(relative.mean(), rel=1e-4)


def test_clipping_is_told_by_the_norms_before_and_after_it(run):
    trace, *_, gradients = run
    squares = np.array([float((gradient**2).sum()) for gradient in gradients])
    assert trace.steps.clip_norm[0] == pytest.approx(np.sqrt(squares.sum()), rel=1e-4)
    left = np.sqrt(np.minimum(squares, LIMIT**2).sum())
    assert trace.steps.clip_limit[0] == pytest.approx(left, rel=1e-4)


def test_filters_are_the_columns_of_a_kernel(run):
    trace = run[0]
    wide = trace.site("wide/kernel", Role.PARAM)
    assert (wide.unit_axis, wide.numel > 4096) == (1, True)
    assert trace.series(Role.PARAM, "dead_fraction", wide)[0] == pytest.approx(1 / 3, abs=0.01)


@pytest.mark.parametrize(
    ("function", "left"),
    [
        (lambda found: tf.clip_by_global_norm(found, LIMIT)[0], LIMIT),
        (lambda found: [tf.clip_by_norm(t=one, clip_norm=1e3) for one in found], None),
    ],
)
def test_clipping_between_the_tape_and_the_optimizer_is_seen(trace_keras, function, left):
    data = Data(clip={})

    def train():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((data.net(data.inputs, training=True) - data.targets) ** 2)
        variables = data.net.trainable_variables
        data.optimizer.apply(function(tape.gradient(loss, variables)), variables)

    trace = trace_keras(train)
    norm = trace.steps.clip_norm[0]
    assert norm > 2 * LIMIT
    assert trace.steps.clip_limit[0] == pytest.approx(left or norm, rel=1e-4)
