"""Looks at what a connectionist temporal classification (CTC) is given, in a few sampled calls.

A label that is the blank, or more labels than there are frames, cannot be spelled by any path; and
rows that are no log-probabilities make the loss meaningless. `zero_infinity` hides most of it.
"""

import itertools
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as functional

from nntrace.recorder import Recorder, is_landmark
from nntrace.schema import EventKind
from nntrace_torch.patching import Undo, after
from nntrace_torch.program.sources import caller

_LOOKS = 64  # sampled calls, of which landmarks are looked at
_EXAMPLES = 256
_LABELS = 1 << 16
_ROWS = 256  # of log-probabilities whose sums are computed


class AlignmentWatch:
    """Watches `ctc_loss`.

    Attributes:
        is_sampled: whether the current step is sampled.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.is_sampled: Callable[[], bool] = lambda: False
        self._looks = 0

    def install(self) -> list[Undo]:
        """Watch the function, which the module `CTCLoss` calls as well."""
        return [after(functional, "ctc_loss", self._recorder.guard(self._look))]

    def _look(
        self,
        loss: Any,
        log_probs: torch.Tensor,
        targets: torch.Tensor,
        input_lengths: Any,
        target_lengths: Any,
        blank: int = 0,
        *args: Any,
        zero_infinity: bool = False,
        **kwargs: Any,
    ) -> None:
        if not self.is_sampled() or self._looks > _LOOKS or not loss.requires_grad:
            return
        self._looks += 1
        if not is_landmark(self._looks) or targets.numel() > _LABELS:
            return
        frames, wanted = (_lengths(given) for given in (input_lengths, target_lengths))
        labels = _labels(targets.detach(), wanted)[:_EXAMPLES]
        if not labels:
            return
        count = sum(map(len, labels))
        blanks = sum(row.count(blank) for row in labels)
        self._recorder.add_event(
            EventKind.ALIGNMENT,
            {
                "frames": int(log_probs.shape[0]),
                "examples": len(frames),
                "classes": int(log_probs.shape[-1]),
                "blank": blank,
                "blanks": blanks / count if count else 0.0,
                "blanks_fill_up": 0 < blanks == sum(_filling(row, blank) for row in labels),
                "too_short": sum(map(_is_too_short, frames, labels)) / len(labels),
                "as_many_as_labels": frames == wanted,
                "infinity_is_zero": bool(zero_infinity or (args[1:] and args[1])),
                **_sums(log_probs.detach()),
                **caller().place,
            },
        )


def _lengths(given: Any) -> list[int]:
    return [int(length) for length in torch.as_tensor(given).reshape(-1).tolist()]


def _labels(targets: torch.Tensor, lengths: list[int]) -> list[list[int]]:
    """The labels of each example, from a padded table [N, S] or from one row of all of them."""
    if targets.dim() > 1:
        return [row[:length] for row, length in zip(targets.tolist(), lengths, strict=False)]
    flat, rows, begin = targets.tolist(), [], 0
    for length in lengths:
        rows.append(flat[begin : begin + length])
        begin += length
    return rows


def _is_too_short(frames: int, labels: list[int]) -> bool:
    """Whether no path spells the labels: equal neighbours need a blank between them."""
    repeats = sum(one == other for one, other in itertools.pairwise(labels))
    return frames < len(labels) + repeats


def _filling(row: list[int], blank: int) -> int:
    """How many labels at the end of a row are blanks."""
    return next((n for n, label in enumerate(reversed(row)) if label != blank), len(row))


def _sums(log_probs: torch.Tensor) -> dict[str, Any]:
    """The logarithm of the sum of exponentials that is farthest from 0; is it of probabilities?"""
    rows = log_probs.reshape(-1, log_probs.shape[-1])
    rows = rows[:: max(1, len(rows) // _ROWS)][:_ROWS].float()
    farthest = float(rows.logsumexp(1).abs().max())
    are_shares = bool((rows >= 0).all() and ((rows.sum(1) - 1.0).abs() < 1e-3).all())
    return {"log_sum": farthest, "probabilities": are_shares}
