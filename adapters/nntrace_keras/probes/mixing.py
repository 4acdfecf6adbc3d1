"""Does the output of one example depend on another example, in a Keras model? (PRB03)

Tested by its gradient, and by exchanging all other examples: either may show a dependency.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from nntrace_keras.graphs.mixing import orders_of
from nntrace_keras.patching import after
from nntrace_keras.probes.answers import Answer, Array, answer, changed

_ROUNDING = 1e-5  # of the largest gradient: what rounding leaves of a sum that cancels out
_NAMED = 16  # examples listed in a message
_MOST_NAMED = 64  # examples listed in the evidence
_FEWEST = 3  # examples


def mixing(
    inputs: list[Array],
    outputs: Callable[[list[Array]], list[Array]],
    call: Callable[[list[Any]], list[Any]],
    norms: str,
) -> Answer:
    """Look for a dependency between examples in inference mode.

    Args:
        inputs: the parts of the input, each [examples, …].
        outputs: computes the parts of the output for changed inputs.
        call: computes the same with tensors.
        norms: a clause on batch norm that is added to a clean answer.
    """
    examples = len(inputs[0])
    if examples < _FEWEST:
        text = f"a batch of {examples} is too small to exchange others than one"
        return answer("unknown", text)
    before = outputs(inputs)
    own = [n for n, out in enumerate(before) if out.ndim and len(out) == examples]
    if not own:
        return answer("unknown", "no output has a part for each example")
    kept = examples // 2
    others = [one for one in range(examples) if one != kept]

    def depends(moved: list[int]) -> list[int]:
        """The outputs that change for example `kept` if other examples replace the `moved` ones."""
        found: set[int] = set()
        for order in orders_of(examples, replace=True, moved=moved):
            after = outputs([part[order] if len(part) == examples else part for part in inputs])
            found |= {n for n in own if bool(changed(before[n][kept], after[n][kept]).any())}
        return sorted(found)

    gradients = _gradients(inputs, call, own, kept)
    mixed = sorted({*depends(others), *gradients})
    if not mixed:
        return answer("clean", f"the output of an example depends on no other of {examples}{norms}")
    if all(before[n].shape[:2] == (examples, examples) for n in mixed):
        return answer("noted", f"an output of {examples} × {examples} compares the examples")
    if gradients:
        return _by_gradient(gradients, kept)
    near = sorted(others, key=lambda one: abs(one - kept))[:8]
    which = [one for one in near if depends([one])]
    text = f"the output of example {kept} changes with other examples, though it has no gradient "
    text += f"there: {', '.join(map(str, which)) or 'with several together'}"
    return answer("found", text, example=kept, depends_on=which)


def _gradients(
    inputs: list[Array], call: Callable[[list[Any]], list[Any]], own: list[int], kept: int
) -> dict[int, Array]:
    """The gradient norms of outputs that have a gradient with respect to examples besides `kept`.

    By the output's number, each [examples], as shares of the largest. Integer inputs count through
    their embeddings.
    """
    try:
        sources = [tf.convert_to_tensor(part) for part in inputs]
        with tf.GradientTape(persistent=True) as tape:
            watched = [tensor for tensor in sources if tensor.dtype.is_floating]
            tape.watch(watched)
            with _lookups(len(inputs[0])) as found:
                made = call(sources)
            random = np.random.default_rng(0)
            rows = {n: made[n][kept] for n in own if made[n].dtype.is_floating}
            sums = {n: tf.reduce_sum(row * _weights(row, random)) for n, row in rows.items()}
        norms = {n: _norm(tape.gradient(value, [*watched, *found])) for n, value in sums.items()}
    except Exception:  # no backward pass: the exchange of examples remains
        return {}
    return {n: norm for n, norm in norms.items() if norm is not None and len(_reached(norm, kept))}


def _weights(row: Any, random: np.random.Generator) -> Any:
    return tf.constant(random.normal(size=row.shape), row.dtype)


@contextmanager
def _lookups(examples: int) -> Iterator[list[Any]]:
    """Collect meanwhile the embeddings of integers that cover all examples."""
    found: list[Any] = []

    def keep(result: Any, *args: Any, **kwargs: Any) -> None:
        if len(result.shape) > 1 and result.shape[0] == examples:
            found.append(result)

    undo = after(keras.layers.Embedding, "call", keep)
    try:
        yield found
    finally:
        undo()


def _norm(gradients: list[Any]) -> Array | None:
    dense = [np.asarray(tf.convert_to_tensor(g), float) for g in gradients if g is not None]
    if not dense:
        return None
    norms = np.sqrt(sum(np.square(g.reshape(len(g), -1)).sum(1) for g in dense))
    largest = float(norms.max(initial=0.0))
    return norms / largest if 0 < largest < np.inf else None


def _reached(norms: Array, kept: int) -> list[int]:
    return [int(one) for one in np.flatnonzero(norms > _ROUNDING) if one != kept]


def _by_gradient(found: dict[int, Array], kept: int) -> Answer:
    norms = np.max(list(found.values()), axis=0)
    which = _reached(norms, kept)
    own, theirs = float(norms[kept]), float(norms[which].max())
    shown = ", ".join(map(str, which[:_NAMED])) + (", …" if len(which) > _NAMED else "")
    size = f"the largest is {theirs / own:.2g} times its own" if own > 0 else "and none to its own"
    text = (
        f"the output of example {kept} has a gradient with respect to {len(which)} other examples "
        f"({shown}); {size}"
    )
    evidence = {"gradient_of_own": own, "gradient_of_other": theirs}
    return answer("found", text, example=kept, depends_on=which[:_MOST_NAMED], **evidence)


def norms_of(model: Any) -> str:
    """A clause that names the model's batch norm layers, which mix examples by design, or ""."""
    kind = keras.layers.BatchNormalization
    count = sum(isinstance(layer, kind) for layer in model._flatten_layers())
    layers = "one layer" if count == 1 else f"{count} layers"
    return f"; batch norm ({layers}) does in training, by design" if count else ""
