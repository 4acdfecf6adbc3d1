"""What a program saves in the middle of its training is what it would save without nntrace."""

import functools
import importlib
import os

import keras
import pytest
import tensorflow as tf
from keras_programs import blobs, compiled, mlp

from nntrace.check.native_writes import _WRITERS, _of_file_io

# Keras and TensorFlow convert their own variables the old way when they save.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


class Trainer(tf.Module):
    """A training step that is saved together with the model."""

    def __init__(self):
        super().__init__()
        self.model = mlp()
        self.optimizer = keras.optimizers.SGD(0.1)
        self.loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function(
        input_signature=[tf.TensorSpec((None, 4)), tf.TensorSpec((None,), tf.int32)],
    )
    def with_signature(self, inputs, labels):
        return self.step(inputs, labels)

    @tf.function
    def without_signature(self, inputs, labels):
        return self.step(inputs, labels)

    def step(self, inputs, labels):
        with tf.GradientTape() as tape:
            loss = self.loss(labels, self.model(inputs, training=True))
        variables = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return loss


def test_a_traced_training_function_is_saved_without_our_operations(trace_keras, tmp_path):
    inputs, labels = map(tf.constant, blobs())
    losses = []

    def program():
        trainer = Trainer()
        trainer.with_signature(inputs, labels)
        trainer.without_signature(inputs, labels)
        tf.saved_model.save(trainer, str(tmp_path / "saved"))
        loaded = tf.saved_model.load(str(tmp_path / "saved"))
        for one in (trainer, loaded):
            losses.append([float(one.with_signature(inputs, labels)) for _ in range(3)])
            losses[-1].append(float(one.without_signature(inputs, labels)))

    trace = trace_keras(program)
    assert losses[0] == losses[1]
    assert b"nntrace" not in (tmp_path / "saved" / "saved_model.pb").read_bytes()
    assert trace.steps.step.tolist() == list(range(6))
    assert trace.steps.loss[2:].tolist() == losses[0]


def test_a_model_that_was_saved_and_loaded_trains_on_as_one_of_its_own(trace_keras, tmp_path):
    inputs, labels = blobs()

    def program():
        model = compiled(mlp())
        model.fit(inputs, labels, verbose=0)
        model.save(tmp_path / "model.keras")
        model.export(tmp_path / "exported", verbose=False)
        loaded = keras.models.load_model(tmp_path / "model.keras")
        loaded.fit(inputs, labels, verbose=0)
        model.fit(inputs, labels, verbose=0)

    trace = trace_keras(program)
    assert trace.steps.step.tolist() == list(range(6))
    assert trace.steps.optimizer == ("SGD", "SGD", "SGD.2", "SGD.2", "SGD", "SGD")


@pytest.mark.parametrize("door", _WRITERS["tensorflow"], ids=lambda door: door.name)
def test_what_opens_files_in_tensorflow_is_where_a_check_watches_it(door):
    owner = importlib.import_module(door.module)
    assert callable(functools.reduce(getattr, door.name.split("."), owner))


@pytest.mark.parametrize("mode", ["a", b"ab", "a+"])
def test_a_file_is_appended_to_in_tensorflow_by_a_mode_of_text_or_of_bytes(mode):
    assert _of_file_io(None, "file", mode) & os.O_APPEND
    assert _of_file_io(None, "file", b"wb") & os.O_TRUNC
