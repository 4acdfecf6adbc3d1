"""Looks, in a few sampled steps, at whether predicted masks are mirror images of themselves.

`nntrace.adapter.flips` says what that tells. Masks are the targets of a loss that has one for
every pixel: class numbers [N, H, W], or zeros and ones [N, C, H, W] or [N, H, W].
"""

import torch
from torch import Tensor

from nntrace.adapter.flips import (
    FEWEST_EXAMPLES,
    MOST_EXAMPLES,
    flip_facts,
    is_readable,
    places_read,
)
from nntrace.recorder import Recorder, is_landmark
from nntrace.schema import EventKind
from nntrace_torch.program.tensors import can_sample

_OF_CLASSES = ("cross_entropy", "nll_loss")
_OF_PIXELS = ("binary_cross_entropy", "binary_cross_entropy_with_logits", "mse_loss", "l1_loss")
_FLIPS = ((), (-2,), (-1,))  # axes that are reversed: none, the height, the width


class FlipWatch:
    """Looks at pairs of predicted and wanted masks."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._looks = 0

    def look(
        self, name: str, path: str, predictions: Tensor, target: Tensor, ignored: int | None
    ) -> None:
        """A loss function was called in a sampled step.

        Args:
            name: the function's name.
            path: that of its sites.
            predictions: as given to it.
            target: as given to it.
            ignored: the class number that does not count, or None.
        """
        if not _are_masks(name, predictions, target) or len(target) < FEWEST_EXAMPLES:
            return
        self._looks += 1
        if not is_landmark(self._looks):
            return
        with torch.no_grad():
            wanted, predicted = _read(target), _read(predictions.detach())
            if name in _OF_CLASSES:
                predicted, wanted = _by_class(name, predicted, wanted, ignored)
            elif not bool(((wanted == 0) | (wanted == 1)).all()):
                return
            elif name.endswith("with_logits"):
                predicted = predicted.sigmoid()
            facts = flip_facts(*_products(_centred(predicted), _centred(wanted)))
        if facts:
            self._recorder.add_event(EventKind.FLIPS, {"path": path, **facts})


def _are_masks(name: str, predictions: Tensor, target: Tensor) -> bool:
    if not (can_sample(predictions) and can_sample(target)):
        return False
    if name in _OF_CLASSES:
        if predictions.dim() != 4 or target.dim() != 3 or target.is_floating_point():
            return False
    elif name not in _OF_PIXELS or predictions.shape != target.shape or target.dim() not in (3, 4):
        return False
    *_, rows, columns = predictions.shape
    return is_readable(rows, columns, predictions.shape[1] if predictions.dim() == 4 else 1)


def _read(masks: Tensor) -> Tensor:
    """Some examples of [N, …, H, W], and of large ones every second, third, … row and column."""
    masks = masks[:MOST_EXAMPLES]
    for axis in (-2, -1):
        side = masks.shape[axis]
        if len(places := places_read(side)) < side:
            masks = masks.index_select(axis, torch.tensor(places, device=masks.device))
    return masks


def _by_class(
    name: str, predicted: Tensor, wanted: Tensor, ignored: int | None
) -> tuple[Tensor, Tensor]:
    """Probabilities [N, C, H, W], and for each class where it is wanted; ignored pixels are 0."""
    shares = predicted.float().softmax(1) if name == "cross_entropy" else predicted.float().exp()
    classes = torch.arange(shares.shape[1], device=wanted.device).view(1, -1, 1, 1)
    labels = wanted.unsqueeze(1)
    return shares * (labels != ignored), (labels == classes) & (labels != ignored)


def _centred(masks: Tensor) -> Tensor:
    """Float32, without the mean over the examples, and then without that of each image."""
    masks = masks.float()
    masks = masks - masks.mean(0)
    return masks - masks.mean((-2, -1), keepdim=True)


def _products(predicted: Tensor, wanted: Tensor) -> list[list[float]]:
    """The `Products` of both as they are, and with one of each pair upside down, or mirrored."""
    pairs = ((predicted, wanted), (predicted, predicted), (wanted, wanted))
    sums = [[(one.flip(axes) * other).sum() for one, other in pairs] for axes in _FLIPS]
    products: list[list[float]] = torch.stack([torch.stack(three) for three in sums]).tolist()
    return products
