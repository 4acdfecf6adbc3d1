"""Notices labels that were shifted twice: each position is to predict the token after the next.

Models that compute their own loss from `labels`, as those of Hugging Face do, shift them inside;
data sets made for other models have shifted them already.
"""

import torch

from nntrace.recorder import Recorder, is_landmark
from nntrace.schema import EventKind
from nntrace_torch.data.batches import inputs_of
from nntrace_torch.replay.call import Call
from nntrace_torch.samples.step import StepSample

_LOOKS = 32  # samples, of which landmarks are looked at
_FOUND = 3  # batches in which the same was seen
_FEWEST = 32  # positions at which the next token and the one after it differ
_NEARLY_ALL = 0.99  # of these
_MOST = 1 << 20  # tokens


class ShiftWatch:
    """Compares the labels of a loss with the tokens that the model was given."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._looks = self._found = 0

    def look(self, call: Call | None, sample: StepSample) -> None:
        """Before the first backward of a sampled step; `call` is the last one of a model."""
        self._looks += 1
        if self._looks > _LOOKS or not is_landmark(self._looks) or call is None:
            return
        labels = sample.labels
        # Other losses may be of other distances, the next token's among them.
        if labels is None or labels.is_floating_point() or len(sample.loss_paths) != 1:
            return
        first = next((one.part for one in inputs_of(call.args, call.kwargs)), None)
        if first is None or first.is_floating_point() or first.dim() != 2:
            return
        self._found += is_shifted_twice(first.detach(), labels)
        if self._found == _FOUND:
            self._looks = _LOOKS
            path = next(iter(sample.loss_paths.values()))
            payload = {"path": path, "length": int(first.shape[1])}
            self._recorder.add_event(EventKind.SHIFTED, payload, severity="warning")


def is_shifted_twice(tokens: torch.Tensor, labels: torch.Tensor) -> bool:
    """Whether labels [N, L] or [N · L] are, from the first on, tokens [N, T] two positions on."""
    examples, length = tokens.shape
    if not length > 3 or labels.numel() > _MOST or not examples or labels.numel() % examples:
        return False
    rows = labels.reshape(examples, -1)
    if not length - 2 <= rows.shape[1] <= length:
        return False
    wanted, following, after = rows[:, : length - 2], tokens[:, 1:-1], tokens[:, 2:]
    tells = (following != after) & (wanted >= 0)
    count = int(tells.sum())
    return count >= _FEWEST and int((tells & (wanted == after)).sum()) >= _NEARLY_ALL * count
