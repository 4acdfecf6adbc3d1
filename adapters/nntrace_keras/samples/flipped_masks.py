"""Whether predicted masks are mirror images of themselves: read with each sample, noted in some.

`nntrace.adapter.flips` says what that tells. Masks are the targets of a loss of Keras that has
one for every pixel: class numbers [N, H, W] or [N, H, W, 1], or zeros and ones [N, H, W, C].
"""

from functools import partial
from typing import Any

import tensorflow as tf

from nntrace.adapter.flips import (
    FEWEST_EXAMPLES,
    MOST_EXAMPLES,
    flip_facts,
    is_readable,
    places_read,
)
from nntrace.recorder import Recorder, is_landmark
from nntrace.schema import EventKind
from nntrace_keras.data.batches import BatchFacts
from nntrace_keras.program.losses import LossFacts
from nntrace_keras.samples.capture import Capture
from nntrace_keras.samples.layouts import Found

_CLASSES = ("cross_entropy", "sparse_categorical_crossentropy", "categorical_crossentropy")
_PIXELS = ("binary_cross_entropy", "binary_cross_entropy_with_logits", "mse_loss", "l1_loss")
# Axes that are reversed: none, the height, the width.
_FLIPS: tuple[list[int], ...] = ([], [1], [2])
_NUMBERS = 3 * len(_FLIPS)


class FlipEvents:
    """Records what samples hold on mirrored masks.

    Args:
        recorder: where events go.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._looks = 0

    def look(self, facts: BatchFacts, found: Found) -> None:
        """Record what the sample of a step says, in a few of them."""
        for path in [loss.path for loss in facts.losses if _name(loss.path) in found.batch]:
            self._looks += 1
            if is_landmark(self._looks):
                products = found.batch[_name(path)][0].reshape(len(_FLIPS), -1).tolist()
                if facts_of_flips := flip_facts(*products):
                    self._recorder.add_event(EventKind.FLIPS, {"path": path, **facts_of_flips})


def add_masks(capture: Capture, path: str, loss: LossFacts, target: Any, prediction: Any) -> None:
    """Have a capture read what a loss is given, if these are masks whose size is known."""
    shape = prediction.shape
    if shape.rank != 4 or None in shape[1:] or not is_readable(*shape[1:]):
        return
    if loss.function in _CLASSES:
        wanted = (None, *shape[1:3]) if loss.labels else tuple(shape)
        if tuple(target.shape)[1:4] not in (wanted[1:], (*wanted[1:], 1)):
            return
    elif loss.function not in _PIXELS or tuple(target.shape)[1:] != tuple(shape)[1:]:
        return
    capture.add_numbers(_name(path), [target, prediction], partial(_products, loss), _NUMBERS)


def _name(path: str) -> str:
    return f"flips:{path}"


def _products(loss: LossFacts, given: list[Any]) -> Any:
    """The `Products` of both as they are, upside down, and mirrored; zeros if they are no masks."""
    target, prediction = (one[:MOST_EXAMPLES] for one in given)
    _, rows, columns, channels = prediction.shape
    if loss.labels:
        labels = tf.cast(tf.reshape(target, [-1, rows, columns]), tf.int32)
        target = tf.one_hot(labels, channels)
    wanted, predicted = _read(target, rows, columns), _read(prediction, rows, columns)
    if loss.function == "cross_entropy":
        predicted = tf.nn.softmax(predicted)
    elif loss.function.endswith("with_logits"):
        predicted = tf.sigmoid(predicted)
    are_masks = tf.reduce_all((wanted == 0.0) | (wanted == 1.0))
    are_many = tf.shape(wanted)[0] >= FEWEST_EXAMPLES
    predicted, wanted = _centred(predicted), _centred(wanted)
    pairs = ((predicted, wanted), (predicted, predicted), (wanted, wanted))
    sums = [tf.reduce_sum(_reversed(one, axes) * other) for axes in _FLIPS for one, other in pairs]
    return tf.where(are_masks & are_many, tf.stack(sums), tf.zeros(_NUMBERS))


def _read(masks: Any, rows: int, columns: int) -> Any:
    """Float32; of large masks every second, third, … row and column."""
    read = tf.gather(tf.cast(masks, tf.float32), places_read(rows), axis=1)
    return tf.gather(read, places_read(columns), axis=2)


def _reversed(masks: Any, axes: list[int]) -> Any:
    return tf.reverse(masks, axes) if axes else masks


def _centred(masks: Any) -> Any:
    """Without the mean over the examples, and then without that of each image."""
    masks -= tf.reduce_mean(masks, axis=0)
    return masks - tf.reduce_mean(masks, axis=(1, 2), keepdims=True)
