"""How predicted masks follow mirrored ones is recorded for Keras' losses as for PyTorch's."""

import keras
import numpy as np
import pytest
from keras import layers
from tracing import payloads

MASKS = (np.random.default_rng(1).random((8, 10, 12, 1)) < 0.3).astype("float32")
ONE_HOT = np.concatenate([1 - MASKS, MASKS], -1)


class TwoClasses(layers.Layer):
    def call(self, logits):
        return keras.ops.concatenate([-logits, logits], -1)


def told(trace_keras, end, loss, targets, **options):
    """The looks at a model that knows the masks it is given, with `end` behind it."""

    def train():
        known = layers.Conv2D(1, 1, kernel_initializer="ones", bias_initializer="zeros")
        scale = layers.Rescaling(20.0, offset=-10.0)
        model = keras.Sequential([keras.Input((10, 12, 1)), scale, known, *end])
        model.compile(keras.optimizers.SGD(1e-9), loss, **options)
        model.fit(MASKS, targets, batch_size=8, epochs=2, shuffle=False, verbose=0)

    return payloads(trace_keras(train), "flips")


CASES = {
    "class numbers": ([TwoClasses(), layers.Softmax()], "sparse_categorical_crossentropy", MASKS),
    "class numbers without an axis": (
        [TwoClasses()],
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        MASKS[..., 0],
    ),
    "classes": ([TwoClasses(), layers.Softmax()], "categorical_crossentropy", ONE_HOT),
    "pixels": ([layers.Activation("sigmoid")], "binary_crossentropy", MASKS),
    "logits": ([], keras.losses.BinaryCrossentropy(from_logits=True), MASKS),
}


@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_masks_are_compared_with_what_is_predicted(trace_keras, name, eagerly):
    end, loss, masks = CASES[name]
    payload = told(trace_keras, end, loss, masks, run_eagerly=eagerly)[0]
    assert payload["width_even"] == pytest.approx(1, abs=0.01)
    assert payload["width_odd"] == pytest.approx(1, abs=0.01)
    payload = told(trace_keras, end, loss, masks[:, :, ::-1], run_eagerly=eagerly)[0]
    assert payload["width_odd"] == pytest.approx(-1, abs=0.01)


def test_targets_that_are_no_masks_are_left_alone(trace_keras):
    assert told(trace_keras, [], "mse", MASKS * 0.5) == []
