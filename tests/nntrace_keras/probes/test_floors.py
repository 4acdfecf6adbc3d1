"""The floors of Keras' losses on targets of all kinds."""

import keras
import numpy as np
import pytest
from nntrace_keras.probes.floors import floor_of

SOFT = np.array([[0.2, 0.8], [0.5, 0.5]])
ENTROPY = float(-(SOFT * np.log(SOFT)).sum(1).mean())
GREYS = np.array([[0.2, 0.5, 0.9]])
BITS = float(-(GREYS * np.log(GREYS) + (1 - GREYS) * np.log(1 - GREYS)).mean())


@pytest.mark.parametrize(
    ("loss", "targets", "floor"),
    [
        ("mse", SOFT, 0.0),
        (keras.losses.Huber(), GREYS, 0.0),
        (keras.losses.KLDivergence(), SOFT, 0.0),
        ("sparse_categorical_crossentropy", [1, 0], 0.0),
        (keras.losses.CategoricalCrossentropy(from_logits=True), np.eye(3), 0.0),
        ("categorical_crossentropy", SOFT, ENTROPY),
        (keras.losses.BinaryCrossentropy(), GREYS, BITS),
        (keras.losses.binary_crossentropy, [[0.0, 1.0]], 0.0),
        ("binary_crossentropy", GREYS * 255, None),
        (keras.losses.CategoricalCrossentropy(label_smoothing=0.1), np.eye(3), None),
        (keras.losses.CategoricalCrossentropy(reduction="sum"), SOFT, None),
        ("cosine_similarity", SOFT, None),
        ("poisson", [[3.0]], None),
        (lambda targets, made: made, SOFT, None),
        (None, SOFT, None),
    ],
)
def test_a_floor_is_that_of_the_loss_on_its_targets(loss, targets, floor):
    found = floor_of(loss, targets)
    assert found is floor or found == pytest.approx(floor)
