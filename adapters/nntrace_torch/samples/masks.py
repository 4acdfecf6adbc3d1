"""Finds masks of attention that do not hide what they should.

A mask of floating-point ones and zeros is added to the scores, and so hides nothing; an inverted
one hides sequences of different lengths and shows the padding behind them.
"""

import torch

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.data.batches import inputs_of
from nntrace_torch.program.sources import UNKNOWN, caller
from nntrace_torch.replay.call import Call

_MOST_LOOKS = 8
_FEWEST_POSITIONS = 4
_SAMPLES = 16  # of which one mask each is compared with padding
_FOUND = 3  # of these
_EXAMPLES = 64  # of a batch
_LENGTHS = 3  # different ones at least, as sequences have
_FEWEST_IDS, _VARIED = 8, 4
_HIDDEN = -1e4  # added to a score, as small as half precision is given


class Masks:
    """Looks at the masks of the first sampled calls of fused attention, and at masked scores."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._looks = 0
        self._token = self._samples = self._inverted = 0
        self._seen: torch.Tensor | None = None  # of this sample, until its inputs are known
        self._source = UNKNOWN

    def look(self, mask: torch.Tensor | None, token: int) -> None:
        """A call was given this mask [..., queries, keys] in the sample with that token."""
        if mask is None:
            return
        self.note(mask, token)
        if self._looks == _MOST_LOOKS:
            return
        self._looks += 1
        if is_added_triangle(mask):
            self._looks = _MOST_LOOKS
            payload = {"what": "mask", **caller().place}
            self._recorder.add_event(EventKind.AXES, payload, severity="warning")

    def note(self, hiding: torch.Tensor, token: int) -> None:
        """Keep what a mask shows, or scores that are given to a softmax, until `compare`."""
        if token != self._token and self._samples < _SAMPLES:
            self._token, self._seen = token, None
            self._samples += 1
        if token == self._token and self._seen is None:
            self._seen = seen_keys(hiding)
            if self._seen is not None:
                self._source = caller()

    def compare(self, call: Call | None) -> None:
        """Before the first backward of a sample, whose last call of a model is `call`."""
        is_seen, self._seen = self._seen, None
        if is_seen is None:
            return
        given = () if call is None else inputs_of(call.args, call.kwargs)
        ids = [one.part for one in given if _are_ids(one.part, is_seen)]
        # Without ids a history that ends at the last position may look the same.
        inverted = [shows_one_id(is_seen, one) for one in ids] or [shows_what_is_behind(is_seen)]
        self._inverted += any(inverted)
        if self._inverted == _FOUND:
            self._samples = _SAMPLES
            payload = {"reads": "mask", **self._source.place}
            self._recorder.add_event(EventKind.PADDED, payload, severity="warning")


def seen_keys(mask: torch.Tensor) -> torch.Tensor | None:
    """Which keys a mask [examples, heads, queries, keys] shows to any query: [examples, keys].

    Scores are a mask, too: those of hidden keys were filled with a large negative number.

    None if it shows as many of them to all examples.
    """
    if mask.dim() != 4 or mask.shape[-1] < _FEWEST_POSITIONS:
        return None
    of_head = mask.detach()[:_EXAMPLES, 0]
    is_seen = (of_head if of_head.dtype is torch.bool else of_head > _HIDDEN).any(1)
    return is_seen if len(is_seen.sum(1).unique()) >= _LENGTHS else None


def shows_what_is_behind(is_seen: torch.Tensor) -> bool:
    """Whether keys [examples, keys] are seen from somewhere on, and of the longest example none.

    The longest sequence of a batch has no padding behind it, and an inverted mask hides it all.
    """
    goes_on = bool((is_seen.to(torch.int8).diff(dim=1) >= 0).all())
    return goes_on and not bool(is_seen.any(1).all()) and not bool(is_seen.all(1).any())


def shows_one_id(is_seen: torch.Tensor, ids: torch.Tensor) -> bool:
    """Whether all the ids [examples, keys] that are seen are one and the same, the hidden not."""
    ids = ids[: is_seen.shape[0]].to(is_seen.device)
    shown, hidden = ids[is_seen], ids[~is_seen]
    if len(shown) < _FEWEST_IDS or len(hidden.unique()) < _VARIED:
        return False
    return bool((shown == shown[0]).all()) and not bool((hidden == shown[0]).any())


def _are_ids(given: torch.Tensor, is_seen: torch.Tensor) -> bool:
    """Whether these are as many numbers of a kind as there are keys, and no mask."""
    if given.is_floating_point() or given.dtype is torch.bool or given.dim() != 2:
        return False
    is_alike = len(given) >= len(is_seen) and given.shape[1] == is_seen.shape[1]
    return is_alike and int(given.max()) > 1


def is_added_triangle(mask: torch.Tensor) -> bool:
    """Whether a mask to be added has ones on one side of its diagonal, and zeros elsewhere."""
    if not mask.is_floating_point() or mask.requires_grad or mask.dim() < 2:
        return False
    square = mask.detach()[(0,) * (mask.dim() - 2)]
    if square.shape[0] != square.shape[1] or len(square) < _FEWEST_POSITIONS:
        return False
    ones = torch.ones_like(square)
    triangles = (ones.tril(), ones.triu(), ones.tril(-1), ones.triu(1))
    return any(bool((square == triangle).all()) for triangle in triangles)
