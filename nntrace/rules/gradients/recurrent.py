"""Why the weights with which recurrent layers read their own last output have no gradient."""

from collections.abc import Sequence

from nntrace.trace import Site

_ONE_STEP = (
    ", with which a recurrent layer reads its last output: its sequences have one time step",
    "Give the layer its steps on the time axis, (examples, time steps, features): a window of n "
    "values of one series is (examples, n, 1), not (examples, 1, n).",
)
_ONE_OUTPUT = (
    ", with which a layer of two directions reads backwards: only the last position of its output "
    "is used, at which the backward half has read one step",
    "Take the last state of each direction, in PyTorch `torch.cat([h[-2], h[-1]], 1)` of the "
    "states that the layer returns, in Keras the output without `return_sequences`; or the mean "
    "over all positions.",
)


def never_read_on(blamed: Sequence[Site]) -> tuple[str, str]:
    """How a message goes on, and its advice, if these are all such weights; else empty."""
    if not all(map(_is_recurrent, blamed)):
        return "", ""
    return _ONE_OUTPUT if all(map(_is_backward, blamed)) else _ONE_STEP


def _is_recurrent(site: Site) -> bool:
    return site.path.rpartition("/")[2] == "recurrent_kernel" or "weight_hh" in site.path


def _is_backward(site: Site) -> bool:
    return site.path.endswith("_reverse") or "/backward_" in site.path
