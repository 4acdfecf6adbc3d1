"""What depends on what in a Keras model: it is called again, in inference mode, on the first batch
with parts of it exchanged (PRB03, PRB04).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

Array = npt.NDArray[Any]
Answer = dict[str, Any]
_TOLERANCE = 1e-4  # of the largest output: what another summation order may do
_FEWEST, _SHORTEST = 3, 4  # examples, positions
_ALIKE = 0.95  # the share of elements that are the same


def examine(model: Any, batch: Any) -> dict[str, Answer | None]:
    """The answers by the name of the probe."""
    inputs = [np.asarray(part) for part in tf.nest.flatten(batch[0])]
    targets = [np.asarray(part) for part in tf.nest.flatten(batch[1])]

    def outputs(changed: list[Array]) -> list[Array]:
        given = tf.nest.pack_sequence_as(batch[0], [tf.convert_to_tensor(part) for part in changed])
        made = model(given, training=False)
        return [np.asarray(part) for part in tf.nest.flatten(made)]

    return {
        "mixing": _safely(lambda: _mixing(inputs, outputs, _norms(model))),
        "causality": _safely(lambda: _causality(inputs, targets, outputs)),
        "functions": None,  # not examined
    }


def _answer(state: str, text: str, **evidence: Any) -> Answer:
    return {"state": state, "text": text, "evidence": evidence}


def _safely(probe: Callable[[], Answer]) -> Answer:
    try:
        return probe()
    except Exception as error:
        return _answer("unknown", f"it could not be examined: {type(error).__name__}: {error}")


def _changed(before: Array, after: Array) -> Array:
    scale = max(float(np.abs(before).max(initial=0.0)), 1e-30)
    return np.asarray(np.abs(before - after) > _TOLERANCE * scale)


def _mixing(
    inputs: list[Array], outputs: Callable[[list[Array]], list[Array]], norms: str
) -> Answer:
    examples = len(inputs[0])
    if examples < _FEWEST:
        text = f"a batch of {examples} is too small to exchange others than one"
        return _answer("unknown", text)
    before = outputs(inputs)
    own = [n for n, out in enumerate(before) if out.ndim and len(out) == examples]
    if not own:
        return _answer("unknown", "no output has a part for each example")
    kept = examples // 2

    def depends(moved: list[int]) -> bool:
        order = np.arange(examples)
        for one in moved:
            order[one] = (one + 1) % examples if (one + 1) % examples != kept else kept - 1
        after = outputs([part[order] if len(part) == examples else part for part in inputs])
        return any(bool(_changed(before[n][kept], after[n][kept]).any()) for n in own)

    others = [one for one in range(examples) if one != kept]
    if not depends(others):
        return _answer(
            "clean", f"the output of an example depends on no other of {examples}{norms}"
        )
    if all(before[n].shape[:2] == (examples, examples) for n in own):
        return _answer("noted", f"an output of {examples} × {examples} compares the examples")
    near = sorted(others, key=lambda one: abs(one - kept))[:8]
    which = [one for one in near if depends([one])]
    text = f"the output of example {kept} depends on other examples: "
    text += ", ".join(map(str, which)) or "on several together"
    return _answer("found", text, example=kept, depends_on=which)


def _norms(model: Any) -> str:
    kinds = {type(layer).__name__ for layer in model._flatten_layers()}
    return "; batch norm does in training, by design" if "BatchNormalization" in kinds else ""


def _causality(
    inputs: list[Array], targets: list[Array], outputs: Callable[[list[Array]], list[Array]]
) -> Answer:
    target = targets[0]
    for place, given in enumerate(inputs):
        column = _column(given, target)
        if column is not None:
            text = f"column {column} of the input is the target"
            return _answer("found", text, column=column)
        if given.ndim < 2 or given.shape[1] < _SHORTEST or target.shape[:2] != given.shape[:2]:
            continue
        wanted = target.reshape(given.shape) if target.size == given.size else None
        if wanted is None or not _alike(given[:, 1:], wanted[:, :-1]):
            continue
        middle = given.shape[1] // 2
        other = given.copy()
        other[:, middle + 1 :] = np.roll(given, 1, axis=0)[:, middle + 1 :]
        changed = [other if n == place else part for n, part in enumerate(inputs)]
        for before, after in zip(outputs(inputs), outputs(changed), strict=True):
            if before.shape[:2] == given.shape[:2]:
                early = _changed(before, after).reshape(*given.shape[:2], -1)[:, : middle + 1]
                positions = np.unique(np.nonzero(early)[1])
                if len(positions):
                    first = int(positions[0])
                    text = (
                        f"the output at position {first} depends on inputs after position "
                        f"{middle}, and the target is the next input"
                    )
                    return _answer("found", text, position=first, depends_on_after=middle)
        return _answer("clean", f"the output at position {middle} depends on no later input")
    return _answer("unknown", "the targets are not the next inputs: there is no future to see")


def _column(given: Array, target: Array) -> int | None:
    flat = target.reshape(len(target), -1)
    if given.ndim != 2 or flat.shape[1] != 1 or len(given) < 8 or np.ptp(flat) == 0:
        return None
    same = np.flatnonzero((given == flat).all(0))
    return int(same[0]) if len(same) else None


def _alike(given: Array, wanted: Array) -> bool:
    return bool(len(np.unique(wanted)) > 1 and (given == wanted).mean() >= _ALIKE)
