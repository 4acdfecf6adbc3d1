"""What a data loader, its sampler and a batch say of themselves, without drawing anything."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.utils.data import BatchSampler, IterableDataset, RandomSampler, SubsetRandomSampler

from nntrace_torch.program.containers import is_list_of_examples
from nntrace_torch.program.tensors import can_sample

_SMALL = 1 << 16  # elements of the largest tensor whose range is read: labels, targets
_FEW = 8  # parts of a batch that are looked at
_DEEPEST = 4  # containers around the first tensor of a batch


def facts_of(loader: Any) -> dict[str, Any]:
    """The sizes of a loader and its data set, and how it draws from it, for a `loader` event."""
    sampler = _sampler(loader)
    # The part of a split that is drawn from, where that is said by indices.
    part = sampler if type(sampler) is SubsetRandomSampler else None
    size = _length(getattr(loader, "dataset", None) if part is None else part)
    if size is None:  # as of Keras' arrays; the sampler knows what it draws from
        size = _length(getattr(sampler, "data_source", None))
    return {
        "dataset_size": size,
        "batch_size": _batch_size(loader),
        "batches": _number_of_batches(loader),
        "shuffle": isinstance(sampler, RandomSampler),
        "sampler": type(sampler).__name__,
        # A pass that draws with replacement may repeat an example.
        "replacement": getattr(sampler, "replacement", False) is True,
        "weights": _length(getattr(sampler, "weights", None)),
        "workers": loader.num_workers,
    }


def ranges_in(batch: Any, depth: int = 3) -> Iterator[tuple[float, float]]:
    """The (minimum, maximum) of the first few tensors in a batch."""
    if can_sample(batch):
        if batch.device.type == "cpu" and batch.numel() <= _SMALL:
            low, high = batch.detach().aminmax()
            yield float(low), float(high)
    elif depth and isinstance(batch, (Mapping, tuple, list)):
        parts = batch.values() if isinstance(batch, Mapping) else batch
        for part in itertools.islice(parts, _FEW):
            yield from ranges_in(part, depth - 1)


def examples_of(batch: Any) -> int | None:
    """The number of examples in a batch; None for a batch without a tensor."""
    if isinstance(batch, (tuple, list)) and batch and is_list_of_examples(batch[0], batch):
        return len(batch[0])
    for _ in range(_DEEPEST):
        if isinstance(batch, torch.Tensor):
            return int(batch.shape[0]) if batch.dim() else None
        if isinstance(batch, Mapping):
            batch = next(iter(batch.values()), None)
        elif isinstance(batch, (tuple, list)) and batch:
            batch = batch[0]
        else:
            return None
    return None


def _sampler(loader: Any) -> Any:
    """What draws the examples: the program's own batch sampler, else the sampler.

    A loader that is given a `BatchSampler` has a `sampler`, too, but does not ask it.
    """
    batches = getattr(loader, "batch_sampler", None)
    if batches is None:
        return getattr(loader, "sampler", None)
    return batches.sampler if type(batches) is BatchSampler else batches


def _batch_size(loader: Any) -> int | None:
    """Examples in a full batch; None where the program makes batches in its own way."""
    batches: Any = getattr(loader, "batch_sampler", None)
    holder = batches if type(batches) is BatchSampler else loader
    size: int | None = holder.batch_size
    return size


def _number_of_batches(loader: Any) -> int | None:
    """The length of a loader; None for a stream, where `len` would make PyTorch warn."""
    if isinstance(getattr(loader, "dataset", None), IterableDataset):
        return None
    return _length(loader)


def _length(sized: Any) -> int | None:
    """The length of an object, or None if it has none; a user's `__len__` may raise anything."""
    try:
        return len(sized)
    except Exception:
        return None
