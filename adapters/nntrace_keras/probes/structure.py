"""Examines a Keras model on the first batch, in inference mode (PRB03, PRB04, PRB05)."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import tensorflow as tf

from nntrace.text import in_short
from nntrace_keras.probes.answers import Answer, Array, answer
from nntrace_keras.probes.causality import causality
from nntrace_keras.probes.doubled import double, doubled
from nntrace_keras.probes.gradients import OwnGradients
from nntrace_keras.probes.layers import OwnLayers
from nntrace_keras.probes.mixing import mixing, norms_of


def examine(
    model: Any, batch: Any, loss: Any, original: Callable[[str | None], str | None]
) -> dict[str, Any]:
    """Run the three probes; return the answers by the name of the probe.

    Args:
        model: the trained model; None if several or none were seen.
        batch: inputs, with or without targets.
        loss: the loss function, if it can be called.
        original: gives the user's file for a file in the sandbox.
    """
    if model is None:
        unseen = answer("unknown", "the loop trains several models, or layers outside any")
        return {"mixing": unseen, "causality": unseen, "functions": None, "layers": None}
    parts = batch if isinstance(batch, tuple) else (batch,)
    inputs = [np.asarray(part) for part in tf.nest.flatten(parts[0])]
    targets = [np.asarray(part) for part in tf.nest.flatten(parts[1:2])]

    def call(changed: list[Any]) -> list[Any]:
        given = tf.nest.pack_sequence_as(parts[0], [tf.convert_to_tensor(x) for x in changed])
        made: list[Any] = tf.nest.flatten(model(given, training=False))
        return made

    def outputs(changed: list[Array]) -> list[Array]:
        return [np.asarray(part) for part in call(changed)]

    answers: dict[str, Any] = {
        "mixing": _safely(lambda: mixing(inputs, outputs, call, norms_of(model))),
        "causality": _safely(lambda: causality(inputs, targets, outputs)),
    }
    for name, found in _backwards(model, parts, loss).items():
        answers[name] = {
            content: {**one, "file": original(one.get("file"))} for content, one in found.items()
        }
    return answers


def _backwards(model: Any, parts: tuple[Any, ...], loss: Any) -> dict[str, dict[str, Answer]]:
    """The answers on the program's own functions and layers that a forward reaches."""
    functions, layers = OwnGradients(), OwnLayers()
    try:
        with doubled(model):
            with functions.noting(), layers.noting():
                _forward(model, parts, loss, double)
            return {"functions": functions.answers(), "layers": layers.answers()}
    except Exception:  # parts of it stay in float32: the functions alone may still be tested
        functions = OwnGradients()
    with functions.noting(), suppress(Exception):  # what was noted before it fails is tested
        _forward(model, parts, loss, lambda value: value)
    return {"functions": functions.answers(), "layers": {}}


def _forward(model: Any, parts: tuple[Any, ...], loss: Any, given: Callable[[Any], Any]) -> None:
    made = model(tf.nest.map_structure(given, parts[0]), training=False)
    if callable(loss) and len(parts) > 1:
        loss(tf.nest.map_structure(given, parts[1]), made)


def _safely(probe: Callable[[], Answer]) -> Answer:
    try:
        return probe()
    except Exception as error:
        return answer("unknown", f"it could not be examined: {in_short(error)}")
