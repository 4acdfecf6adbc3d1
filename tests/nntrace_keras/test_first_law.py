"""The first law: tracing never changes training. Ways of training, bare and traced, bit for bit."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

WEIGHTS = {0: 1.0, 1: 2.0, 2: 1.0, 3: 0.5, 4: 1.0}
CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def series():
    random = np.random.default_rng(0)
    return random.normal(size=(96, 6, 4)).astype("float32"), random.integers(0, 5, 96)


def dropout_net():
    return keras.Sequential(
        [
            layers.Input((6, 4)),
            layers.Conv1D(8, 3),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(16, activation="gelu"),
            layers.Dense(5),
        ]
    )


def recurrent_net():
    return keras.Sequential(
        [
            layers.Input((6, 4)),
            layers.LSTM(8, return_sequences=True, dropout=0.2),
            layers.GRU(8),
            layers.Dense(5),
        ]
    )


def residual_net():
    """Branches whose gradients are summed: TensorFlow folds such sums by who else uses them."""
    start = layers.Input((6, 4))
    hidden = layers.Conv1D(8, 3, padding="same")(start)
    for _ in range(2):
        branch = layers.Conv1D(8, 3, padding="same", use_bias=False)(hidden)
        branch = layers.ReLU()(layers.BatchNormalization()(branch))
        hidden = layers.Add()([hidden, layers.BatchNormalization()(branch)])
    return keras.Model(start, layers.Dense(5)(layers.GlobalAveragePooling1D()(hidden)))


def fitted(model, **settings):
    settings = {"optimizer": "adam", "jit_compile": False} | settings
    model.compile(loss=CROSS_ENTROPY, metrics=["accuracy"], **settings)
    inputs, labels = series()
    history = model.fit(inputs, labels, batch_size=16, verbose=0, class_weight=WEIGHTS).history
    return [history["loss"], history["accuracy"], *model.get_weights()]


class Own(keras.Model):
    """A residual block, a penalty of its own and a training step of its own."""

    def __init__(self):
        super().__init__()
        self.flatten, self.drop = layers.Flatten(), layers.Dropout(0.2)
        self.one, self.two, self.head = layers.Dense(16), layers.Dense(16), layers.Dense(5)

    def build(self, shape):
        self.built = True

    def call(self, inputs, training=None):
        hidden = tf.nn.relu(self.one(self.flatten(inputs)))
        hidden = hidden + self.drop(self.two(hidden), training=training)
        self.add_loss(1e-3 * tf.reduce_mean(hidden**2))
        return self.head(hidden)

    def train_step(self, data):
        inputs, labels, _ = data
        with tf.GradientTape() as tape:
            predictions = self(inputs, training=True)
            loss = self.compute_loss(inputs, labels, predictions)
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return {**self.compute_metrics(inputs, labels, predictions), "loss": loss}


class Averaging(keras.Model):
    """A training step that reports the mean of its loss, and nobody else sees it: TensorFlow adds
    both terms of it and the metric's total in one operation.
    """

    def __init__(self):
        super().__init__()
        self.flatten, self.head = layers.Flatten(), layers.Dense(5)
        self.mean = keras.metrics.Mean(name="loss")

    def call(self, inputs):
        return self.head(self.flatten(inputs))

    def train_step(self, data):
        inputs, labels = data
        with tf.GradientTape() as tape:
            predictions = self(inputs, training=True)
            spread = tf.reduce_mean(tf.reduce_sum(tf.square(predictions), axis=1))
            loss = CROSS_ENTROPY(labels, predictions) + 0.1 * spread
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        self.mean.update_state(loss)
        return {"loss": self.mean.result()}


def averaged():
    model = Averaging()
    model.compile(optimizer="adam", jit_compile=False)
    history = model.fit(*series(), batch_size=8, epochs=5, verbose=0).history
    return [history["loss"], *model.get_weights()]


def looped(in_graph):
    model, optimizer = dropout_net(), keras.optimizers.Adam(1e-3)
    inputs, labels = series()

    def step(examples, targets):
        with tf.GradientTape() as tape:
            loss = CROSS_ENTROPY(targets, model(examples, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss + 0.0 * tf.random.normal([])

    run = tf.function(step) if in_graph else step
    losses = [
        float(run(tf.constant(inputs[i : i + 16]), tf.constant(labels[i : i + 16])))
        for i in range(0, 96, 16)
    ]
    return [losses, *model.get_weights()]


def adversarial(in_graph):
    """Two tapes, two losses and two optimizers in one step."""
    maker = keras.Sequential([layers.Input((8,)), layers.Dense(16), layers.BatchNormalization()])
    judge = keras.Sequential(
        [layers.Input((16,)), layers.Dense(16), layers.LeakyReLU(), layers.Dense(1)]
    )
    one, other = keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3)
    entropy = keras.losses.BinaryCrossentropy(from_logits=True)
    real = tf.constant(series()[0].reshape(-1, 16)[:32])

    def step():
        noise = tf.random.normal((32, 8))
        with tf.GradientTape() as first, tf.GradientTape() as second:
            of_made = judge(maker(noise, training=True), training=True)
            of_real = judge(real, training=True)
            makes = entropy(tf.ones_like(of_made), of_made)
            judges = entropy(tf.ones_like(of_real), of_real) + entropy(
                tf.zeros_like(of_made), of_made
            )
        one.apply(first.gradient(makes, maker.trainable_variables), maker.trainable_variables)
        other.apply(second.gradient(judges, judge.trainable_variables), judge.trainable_variables)
        return makes, judges

    run = tf.function(step) if in_graph else step
    losses = [[float(loss) for loss in run()] for _ in range(12)]
    return [losses, *maker.get_weights(), *judge.get_weights()]


def mixed():
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        return fitted(dropout_net())
    finally:
        keras.mixed_precision.set_global_policy("float32")


def partly_decayed():
    optimizer = keras.optimizers.AdamW(1e-3, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["conv1d", "bias"])
    return fitted(dropout_net(), optimizer=optimizer)


WAYS = {
    "fit": lambda: fitted(dropout_net()),
    "fit, eagerly": lambda: fitted(dropout_net(), run_eagerly=True),
    "fit, several steps per call": lambda: fitted(dropout_net(), steps_per_execution=3),
    "fit, branches": lambda: fitted(residual_net(), optimizer=keras.optimizers.Adam(clipnorm=1)),
    "fit, recurrent layers": lambda: fitted(recurrent_net()),
    "fit, accumulated gradients": lambda: fitted(
        dropout_net(), optimizer=keras.optimizers.Adam(gradient_accumulation_steps=2)
    ),
    "fit, float16 with loss scaling": mixed,
    "fit, a layer without weight decay": partly_decayed,
    "a training step of its own": lambda: fitted(Own()),
    "a training step that averages": averaged,
    "a loop with a function": lambda: looped(True),
    "two losses in a function": lambda: adversarial(True),
    "two losses, eagerly": lambda: adversarial(False),
    "an eager loop": lambda: looped(False),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_losses_weights_and_random_numbers_are_those_of_an_untraced_run(trace_keras, way):
    results = []

    def program():
        keras.backend.clear_session()
        keras.utils.set_random_seed(7)
        results.append([*way(), keras.random.normal(()), tf.random.normal([])])

    program()
    trace = trace_keras(program, every=2)
    assert trace.sampled_steps.size > 1
    bare, traced = results
    for one, other in zip(bare, traced, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
