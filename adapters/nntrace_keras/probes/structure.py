"""Examines a Keras model on the first batch, in inference mode (PRB03, PRB04, PRB05)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from nntrace_keras.probes.answers import Answer, Array, answer
from nntrace_keras.probes.causality import causality
from nntrace_keras.probes.gradients import OwnGradients
from nntrace_keras.probes.mixing import mixing, norms_of


def examine(
    model: Any,
    batch: Any,
    loss: Any,
    gradients: OwnGradients,
    original: Callable[[str | None], str | None],
) -> dict[str, Any]:
    """The answers by the name of the probe.

    Args:
        model: what is trained; None where several or none were seen.
        batch: inputs, with targets or alone.
        loss: the loss function, if it is one that can be called.
        gradients: the program's own backwards, noted as they are called.
        original: the user's file for one in the sandbox.
    """
    if model is None:
        unseen = answer("unknown", "the loop trains several models, or layers outside any")
        return {"mixing": unseen, "causality": unseen, "functions": None}
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
    gradients.is_noting = True
    try:
        made = model(parts[0], training=False)
        if callable(loss) and len(parts) > 1:
            loss(parts[1], made)
    except Exception:  # what was noted by then is examined
        pass
    finally:
        gradients.is_noting = False
    found = gradients.answers()
    answers["functions"] = {
        name: {**one, "file": original(one.get("file"))} for name, one in found.items()
    }
    return answers


def _safely(probe: Callable[[], Answer]) -> Answer:
    try:
        return probe()
    except Exception as error:
        return answer("unknown", f"it could not be examined: {type(error).__name__}: {error}")
