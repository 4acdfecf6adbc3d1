"""What a sampled step records of its batch, or of the arguments of one loss function."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nntrace.recorder import BatchSample, classes_of_rows
from nntrace_torch.samples.buffer import Buffers

_HASH_BITS = 24  # whole numbers below 2^24 survive the float32 buffer
KEPT_OF_HASHES = (1 << 2 * _HASH_BITS) - 1
_HASH_MASK = (1 << _HASH_BITS) - 1
_HASHES = ("hash_low", "hash_high")


class BatchValues:
    """Plain facts, and values that lie in the step's buffers until they are on the host.

    Args:
        buffers: where the step's values are put.
    """

    def __init__(self, buffers: Buffers) -> None:
        self._buffers = buffers
        self._facts: dict[str, Any] = {}
        self._parts: dict[str, tuple[torch.device, int, int]] = {}
        self._columns = 0

    def describe(self, **facts: Any) -> None:
        """Add plain facts; of two with one name the first stands."""
        self._facts = {**facts, **self._facts}

    @property
    def examples(self) -> int | None:
        """The number of examples in the batch, if known."""
        return self._facts.get("batch_size")

    def says(self, fact: str) -> bool:
        """Whether a fact with this name was added."""
        return fact in self._facts

    def add(self, name: str, values: torch.Tensor) -> None:
        """Add sampled values (`inputs`, `targets`, `predictions`, `terms`, …), once of a name."""
        if name not in self._parts:
            put = self._buffers[values.device].put(values.detach())
            self._parts[name] = (values.device, *put)
            if name == "predictions":
                self._columns = values.shape[-1]

    def add_hashes(self, hashes: torch.Tensor) -> None:
        """Add int64 hashes of the examples, of which 48 bits are kept."""
        for name, part in zip(_HASHES, (hashes, hashes >> _HASH_BITS), strict=True):
            self.add(name, part & _HASH_MASK)

    @property
    def hashed(self) -> int:
        """The number of hashes."""
        return self._parts[_HASHES[0]][2] if _HASHES[0] in self._parts else 0

    def drop_hashes(self) -> None:
        """Forget the hashes: they were those of features or words, not of examples."""
        for name in _HASHES:
            self._parts.pop(name, None)

    def further(self) -> "BatchValues":
        """The values of another loss function of the step, with the same loader."""
        other = BatchValues(self._buffers)
        other.describe(delivered=self._facts.get("delivered"))
        return other

    def assemble(
        self, step: int, values: npt.NDArray[np.float32], starts: Mapping[torch.device, int]
    ) -> BatchSample | None:
        """All of it, out of what arrived on the host; None where there is nothing.

        Args:
            step: the optimizer step.
            values: of all devices.
            starts: where those of each device begin.
        """
        if not self._facts and not self._parts:
            return None
        found = {
            name: values[starts[device] + offset : starts[device] + offset + count]
            for name, (device, offset, count) in self._parts.items()
            if device in starts
        }
        hashes = None
        if "hash_low" in found:
            high = found["hash_high"].astype(np.int64) << _HASH_BITS
            hashes = high | found["hash_low"].astype(np.int64)
        predictions = found.get("predictions")
        loss, clamped = found.get("loss_value"), found.get("clamped")
        targets, facts = found.get("targets"), dict(self._facts)
        by_row = facts.pop("classes_by_row", None)
        return BatchSample(
            step=step,
            example_hashes=hashes,
            inputs=found.get("inputs"),
            targets=targets,
            class_labels=classes_of_rows(targets, by_row),
            predictions=None if predictions is None else predictions.reshape(-1, self._columns),
            loss_value=None if loss is None else float(loss[0]),
            terms=found.get("terms"),
            clamped=None if clamped is None else float(clamped[0]),
            **{"phase": "train", **facts},
        )
