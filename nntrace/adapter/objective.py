"""The payload of an `objective` event, whose keys every adapter writes alike."""

from collections.abc import Sequence
from typing import Any

from nntrace.adapter.sources import Source


def objective_payload(
    terms: Sequence[tuple[str, float | None]],
    source: Source,
    *,
    is_clamped: bool,
    broadcast: Sequence[Sequence[int | None]] | None,
) -> dict[str, Any]:
    """The payload that describes the objective being minimised.

    Args:
        terms: name and weight of each term; a repeated name stands for the same function.
        source: the line that asked for the gradient.
        is_clamped: whether a clamp stands between the examples' losses and their mean.
        broadcast: the shapes of predictions and of their far larger difference from the targets,
            or product with data, whose shape then comes third; else None.
    """
    weights = dict(reversed(terms))  # the first weight of a repeated name counts
    names = list(dict.fromkeys(name for name, _ in terms))
    return {
        "terms": names,
        "weights": [weights[name] for name in names],
        "clamped": is_clamped,
        "broadcast": None if broadcast is None else [list(shape) for shape in broadcast],
        **source.place,
    }
