"""Experiments of `nntrace check` carried out on Keras programs in this process."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras_programs import blobs, compiled, mlp
from tracing import tracing

from nntrace.experiment import Experiment
from nntrace.rules.probes import told
from nntrace.trace import Trace


@pytest.fixture
def under(tmp_path, monkeypatch):
    """Run a program under an experiment: `under(program, pinned=True) -> Trace`."""
    monkeypatch.setenv("NNTRACE_STRICT", "1")

    def run(program, **changes):
        experiment = Experiment("try", **changes)
        with tracing(tmp_path / "run", every=50, framework="keras", experiment=experiment):
            program()
        return Trace.open(tmp_path / "run")

    return run


def fitting(epochs=3, **settings):
    x, y = blobs(60)

    def program():
        compiled(mlp(), **settings).fit(x, y, batch_size=12, epochs=epochs, verbose=0)

    return program


def test_a_pinned_fit_sees_one_batch(under):
    trace = under(fitting(), pinned=True)
    assert len(trace.steps) == 15
    assert (np.diff(trace.steps.loss) < 0).all()
    assert told(trace)["floor"] == 0.0


def test_a_loop_of_ones_own_is_pinned_by_its_data_set(under):
    x, y = blobs(60)
    model, optimizer = mlp(), keras.optimizers.SGD(0.1)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def step(inputs, labels):
        with tf.GradientTape() as tape:
            value = loss(labels, model(inputs, training=True))
        gradients = tape.gradient(value, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return value

    def program():
        data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(60).batch(12)
        for _ in range(2):
            for inputs, labels in data:
                step(inputs, labels)

    assert (np.diff(under(program, pinned=True).steps.loss) < 0).all()


def test_everything_else_is_exchanged_in_one_graph(under):
    class Centred(keras.layers.Layer):
        def call(self, inputs):
            return inputs - keras.ops.mean(inputs, axis=0, keepdims=True)

    x, y = blobs(48)
    outputs = []

    def program():
        dense = keras.layers.Dense(3, kernel_regularizer="l2")
        model = keras.Sequential([Centred(), dense, keras.layers.Dropout(0.5)])
        optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.1)
        compiled(model, optimizer=optimizer).fit(x, y, batch_size=12, epochs=3, verbose=0)
        outputs.extend(np.asarray(model(x, training=True)) for _ in range(2))
        assert model.losses == []

    changes = {"inputs": "zero", "targets": "shuffle", "sweep": True, "regularised": False}
    trace = under(program, **changes, dependencies=True, steps=12)
    facts, rates = told(trace), trace.steps.lr
    assert np.abs(trace.steps.loss[:4] - np.log(3)).max() < 1e-3  # nothing to tell them by
    assert rates[0] == pytest.approx(1e-7, rel=1e-3)
    assert rates[-1] == pytest.approx(30, rel=1e-3)
    assert facts["rate"] == pytest.approx(0.1)
    assert facts["dropout"] is True
    assert facts["weight_decay"] is True
    assert (outputs[0] == outputs[1]).all()
    assert facts["mixing"]["state"] == "found"
    assert facts["mixing"]["evidence"]["depends_on"][0] == 0
    assert facts["functions"] == {}


def test_a_loop_of_ones_own_is_examined_with_its_embeddings_and_gradients(under):
    tokens, labels = np.arange(24).reshape(24, 1) % 9, np.arange(24) % 3
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def program():
        @tf.custom_gradient
        def square(x):
            return x * x, lambda upstream: upstream * x

        class Averaged(keras.Model):
            def __init__(self):
                super().__init__()
                self.table, self.head = keras.layers.Embedding(9, 4), keras.layers.Dense(3)

            def call(self, tokens):
                hidden = self.table(tokens)
                return self.head(square(hidden - tf.reduce_mean(hidden, axis=0))[:, 0])

        model, optimizer = Averaged(), keras.optimizers.SGD(0.1)

        @tf.function
        def step(inputs, targets):
            with tf.GradientTape() as tape:
                value = loss(targets, model(inputs))
            gradients = tape.gradient(value, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

        data = tf.data.Dataset.from_tensor_slices((tokens, labels)).batch(6)
        for inputs, targets in data:
            step(inputs, targets)

    facts = told(under(program, dependencies=True, steps=3))
    assert facts["mixing"]["evidence"]["depends_on"] == [0, 1, 2, 4, 5]
    (answer,) = facts["functions"].values()
    assert answer["evidence"]["factor"] == pytest.approx(0.5, rel=1e-3)
    assert answer["file"] == __file__


def test_batches_given_one_by_one_are_pinned(under):
    x, y = blobs(60)

    def program():
        model = compiled(mlp())
        for begin in (0, 12, 24, 36, 48):
            model.train_on_batch(x[begin : begin + 12], y[begin : begin + 12])

    trace = under(program, pinned=True)
    assert (np.diff(trace.steps.loss) < 0).all()
    assert told(trace)["floor"] == 0.0
    assert "problem" not in told(trace)


def test_batches_without_targets_cannot_be_told_from_them(under):
    x, _ = blobs(48)

    class Reconstructs(keras.Model):
        def __init__(self):
            super().__init__()
            self.head = keras.layers.Dense(x.shape[1])

        def train_step(self, data):
            inputs = data[0] if isinstance(data, tuple) else data
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(self.head(inputs) - inputs))
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
            return {"loss": loss}

    def program():
        model = Reconstructs()
        model.compile(optimizer=keras.optimizers.SGD(0.1))
        model.fit(x, batch_size=12, epochs=2, verbose=0)

    facts = told(under(program, pinned=True, inputs="zero"))
    assert "inputs alone" in facts["problem"]
    assert facts["floor"] is None


def test_the_backward_inside_a_layer_is_examined_with_its_weights(under):
    x, y = blobs(48)

    class Scaled(keras.layers.Layer):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor

        def build(self, shape):
            self.scale = self.add_weight(shape=shape[-1:], initializer="ones", name="scale")

        def call(self, inputs):
            @tf.custom_gradient
            def scaled(values):
                scale = tf.convert_to_tensor(self.scale)

                def backward(upstream, variables=None):
                    of_scale = [tf.reduce_sum(upstream * values, axis=0)] * len(variables or [])
                    return self.factor * upstream * scale, of_scale

                return values * scale, backward

            return scaled(inputs)

    class Cut(keras.layers.Layer):
        def call(self, inputs):
            return inputs + tf.stop_gradient(inputs)

    model = keras.Sequential([keras.layers.Dense(4), Scaled(2.0), Cut(), keras.layers.Dense(3)])

    def program():
        compiled(model).fit(x, y, batch_size=12, verbose=0)

    facts = told(under(program, dependencies=True, steps=3))
    assert {variable.value.dtype for variable in model.weights} == {tf.float32}
    assert model.layers[1].compute_dtype == "float32"
    (answer,) = facts["functions"].values()
    assert answer["state"] == "found"
    assert answer["evidence"]["factor"] == pytest.approx(2.0, rel=1e-3)
    assert answer["evidence"]["argument"] == "argument 0"
    assert facts["layers"][Cut.__qualname__]["state"] == "noted"
    assert facts["layers"][Cut.__qualname__]["evidence"]["factor"] == pytest.approx(0.5, rel=1e-3)


def test_examining_a_model_of_ones_own_makes_no_step(under):
    x, y = blobs(48)

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner, self.head = keras.layers.Dense(4, "relu"), keras.layers.Dense(3)

        def call(self, inputs):
            return self.head(self.inner(inputs))

    trace = under(
        lambda: compiled(Own()).fit(x, y, batch_size=12, verbose=0), dependencies=True, steps=3
    )
    assert len(trace.steps) == 4
    assert told(trace)["layers"][Own.__qualname__]["state"] == "clean"
