"""A model that the program drops is freed while tracing goes on: a search may train hundreds."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras_programs import blobs, compiled, mlp


class OwnStep(keras.Sequential):
    def train_step(self, data):
        inputs, labels = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x=inputs, y=labels, y_pred=self(inputs, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}


def fitted():
    model = compiled(mlp())
    model.fit(*blobs(), epochs=2, verbose=0, validation_split=0.5)
    return model


def with_a_step_of_its_own():
    model = compiled(OwnStep([keras.Input((4,)), keras.layers.Dense(3)]))
    model.fit(*blobs(), epochs=2, verbose=0)
    return model


def trained_in_a_function():
    model, optimizer = mlp(), keras.optimizers.SGD(0.1)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def step(inputs, labels):
        with tf.GradientTape() as tape:
            loss = loss_of(labels, model(inputs, training=True))
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)

    inputs, labels = blobs()
    for _ in range(3):
        step(np.asarray(inputs), np.asarray(labels))
    return model


@pytest.mark.parametrize("train", [fitted, with_a_step_of_its_own, trained_in_a_function])
def test_a_model_that_is_dropped_is_freed_while_tracing_goes_on(trace_keras, train):
    living = []

    def program():
        dropped = weakref.ref(train())
        gc.collect()
        living.append(dropped() is not None)

    trace_keras(program)
    assert living == [False]
