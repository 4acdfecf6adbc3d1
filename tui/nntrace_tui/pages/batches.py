"""What goes into the network: moments of its tensors, labels, repeated batches, pictures."""

import math
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from nntrace.schema import Role
from nntrace.text import plural
from nntrace.trace import Batch, Site, Tensor, Trace
from nntrace.trace.model import FloatArray
from nntrace_tui.pages.curve import Curve, curve
from nntrace_tui.pages.site_series import SiteSeries, site_series

_ROLES: Final = (Role.INPUT, Role.TARGET, Role.OUTPUT)
_STATISTICS: Final = ("mean", "std", "min", "max", "zero_fraction", "nonfinite_fraction")
_CLASSES_SHOWN: Final = 40
_PICTURES: Final = 8
_PICTURE_CELLS: Final = 64  # in a larger picture every n-th pixel is enough for a terminal
_CURVE_BUCKETS: Final = 60


@dataclass(frozen=True, slots=True)
class TensorRow:
    """An input, target or prediction: its latest moments, its mean and spread over time."""

    name: str
    role: Role
    shape: tuple[int, ...]
    dtype: str
    latest: dict[str, float]
    mean: Curve
    std: Curve


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """An example of the first training batch, [height, width, 3], with values from 0 to 255."""

    pixels: FloatArray
    label: str | None


@dataclass(frozen=True, slots=True, eq=False)
class DataPage:
    """What the sampled batches contained.

    Attributes:
        labels: each label and how often it occurred, most frequent first; at most 40.
        repeats: the number of batches whose fingerprint had occurred before.
        loaders: a line of text per data loader.
    """

    tensors: tuple[TensorRow, ...]
    batches: int
    batch_size: int | None
    distinct: int
    repeats: int
    longest_repeat: int
    duplicate_examples: int
    examples: int
    labels: tuple[tuple[int, int], ...]
    label_kinds: int
    classes: int | None
    loss_function: str | None
    loaders: tuple[str, ...]
    pictures: tuple[Picture, ...]


def data_page(trace: Trace) -> DataPage:
    """Build the page from the training batches sampled so far."""
    sites = [site for role in _ROLES for site in trace.sites_of(role)]
    series = site_series(trace, sites)
    batches = [batch for batch in trace.batches if batch.phase == "train"]
    prints = [batch.fingerprint for batch in batches if batch.fingerprint is not None]
    labels: Counter[int] = Counter()
    for batch in batches:
        labels.update(dict(zip(batch.label_values, batch.label_counts, strict=False)))
    last = batches[-1] if batches else None
    return DataPage(
        tensors=tuple(_row(site, series[site.id]) for site in sites),
        batches=len(batches),
        batch_size=last.batch_size if last else None,
        distinct=len(set(prints)),
        repeats=len(prints) - len(set(prints)),
        longest_repeat=_longest_repeat(prints),
        duplicate_examples=sum(batch.duplicate_examples or 0 for batch in batches),
        examples=sum(batch.batch_size or 0 for batch in batches),
        labels=tuple(labels.most_common(_CLASSES_SHOWN)),
        label_kinds=len(labels),
        classes=last.classes if last else None,
        loss_function=_last_known(batches),
        loaders=tuple(_loader(event.payload) for event in trace.events_of("loader")),
        pictures=pictures(trace.tensors),
    )


def _row(site: Site, series: SiteSeries) -> TensorRow:
    known = {name: series.known(name) for name in _STATISTICS}
    return TensorRow(
        name=site.path or site.role.value,
        role=site.role,
        shape=site.shape,
        dtype=site.dtype,
        latest={name: float(values[-1]) for name, (_, values) in known.items() if len(values)},
        mean=curve(*known["mean"], _CURVE_BUCKETS),
        std=curve(*known["std"], _CURVE_BUCKETS),
    )


def _longest_repeat(prints: list[int]) -> int:
    """Return the largest number of sampled batches in a row that were the same one."""
    longest = run = 1 if prints else 0
    for before, now in pairwise(prints):
        run = run + 1 if before == now else 1
        longest = max(longest, run)
    return longest


def _last_known(batches: list[Batch]) -> str | None:
    return next((b.loss_function for b in reversed(batches) if b.loss_function), None)


def _loader(payload: dict[str, object]) -> str:
    """Describe a data loader: `1,437 examples · batches of 64 · shuffled · 2 workers`."""
    words = []
    if isinstance(size := payload.get("dataset_size"), int):
        words.append(f"{size:,} examples")
    if isinstance(size := payload.get("batch_size"), int):
        words.append(f"batches of {size:,}")
    if isinstance(shuffle := payload.get("shuffle"), bool):
        words.append("shuffled" if shuffle else "in fixed order")
    if isinstance(workers := payload.get("workers"), int):
        words.append(plural(workers, "worker") if workers else "no workers")
    return " · ".join(words)


def pictures(tensors: tuple[Tensor, ...]) -> tuple[Picture, ...]:
    """Return the first examples of the first kept batch that looks like images, NCHW or NHWC."""
    for tensor in tensors:
        if tensor.role != Role.INPUT:
            continue
        images = _as_images(tensor.values)
        if images is None:
            continue
        labels = _labels(tensors, len(images))
        finite = images[np.isfinite(images)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        scaled = (np.nan_to_num(images, nan=low, posinf=high, neginf=low) - low) * (
            255.0 / (high - low) if high > low else 0.0
        )
        return tuple(
            Picture(image, label) for image, label in zip(scaled[:_PICTURES], labels, strict=False)
        )
    return ()


def _as_images(values: FloatArray) -> FloatArray | None:
    """Return [N, height, width, 3], coarse enough for a terminal; None if these are no images."""
    if values.ndim != 4 or not values.size:
        return None
    if values.shape[1] in (1, 3, 4):
        values = np.moveaxis(values, 1, -1)
    elif values.shape[-1] not in (1, 3, 4):
        return None
    if min(values.shape[1:3]) < 4:
        return None
    stride = max(1, math.ceil(max(values.shape[1:3]) / _PICTURE_CELLS))
    values = values[:, ::stride, ::stride, :3]
    return values if values.shape[-1] == 3 else np.repeat(values[..., :1], 3, axis=-1)


def _labels(tensors: tuple[Tensor, ...], count: int) -> list[str | None]:
    """Return the class of each example, if the targets are one whole number per example."""
    for tensor in tensors:
        values = tensor.values
        if tensor.role != Role.TARGET or values.ndim != 1 or len(values) < count:
            continue
        if np.all(np.isfinite(values)) and np.all(values == np.round(values)):
            return [str(int(value)) for value in values[:count]]
    return [None] * count
