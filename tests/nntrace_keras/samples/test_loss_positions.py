"""Keras compares each position of an example with its one target; that is recorded."""

import keras
import numpy as np
import pytest
from keras import layers

from nntrace.schema import EventKind


@pytest.mark.parametrize(
    ("sequences", "targets", "loss", "positions"),
    [
        (True, (1,), "mse", 6),
        (True, (6, 1), "mse", 0),
        (True, (6,), "mse", 0),
        (False, (1,), "mse", 0),
    ],
)
def test_positions_that_share_a_target_are_counted(
    trace_keras, sequences, targets, loss, positions
):
    def train():
        keras.utils.set_random_seed(1)
        cells = layers.GRU(4, return_sequences=sequences)
        model = keras.Sequential([keras.Input((6, 2)), cells, layers.Dense(1, "sigmoid")])
        model.compile("sgd", loss)
        x = np.random.default_rng(0).normal(size=(32, 6, 2)).astype("float32")
        model.fit(x, np.ones((32, *targets), "float32"), batch_size=8, verbose=0)

    [call] = trace_keras(train).events_of(EventKind.LOSS_CALL)
    assert call.payload["positions"] == positions
