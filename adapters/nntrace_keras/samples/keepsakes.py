"""Keeps a few tensors whole: the first training batch and the first layer's filters.

The batch is read once per run. A graph must have fixed sizes: of every tensor a block is read, cut
from its beginning and padded with zeros, which the host, knowing the true sizes, drops again.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from nntrace.recorder import MAX_EXAMPLES, KeptTensor, batch_extent, next_turn
from nntrace.schema import Role
from nntrace_keras.samples.elements import are_filters
from nntrace_keras.samples.layouts import Found
from nntrace_keras.samples.sites import SiteKey

_POSITIONS = 512  # read along an axis whose size varies
_PIXELS = 128  # likewise, along an axis of images
_FEW_CHANNELS = 4
_EXACT_IN_FLOAT32 = (tf.uint8, tf.int8, tf.uint16, tf.int16, tf.bool)


@dataclass(frozen=True, slots=True)
class Keepsake:
    """A tensor to keep.

    Attributes:
        sizes: the shape of the block that is read.
        steps: the step between the places that are read along each axis.
        stride: the step in pixels of an image's plane.
    """

    site: SiteKey
    tensor: Any
    sizes: tuple[int, ...]
    steps: tuple[int, ...]
    stride: int

    def read(self, tensor: Any, dtype: Any) -> Any:
        """The tensor's true sizes, then the elements of the block, as one vector."""
        ends = [size * step for size, step in zip(self.sizes, self.steps, strict=True)]
        slices = tuple(slice(0, end, step) for end, step in zip(ends, self.steps, strict=True))
        part = tf.cast(tensor[slices], dtype)
        if tuple(part.shape) != self.sizes:
            missing = tf.constant(self.sizes) - tf.shape(part)
            part = tf.pad(part, tf.stack([tf.zeros_like(missing), missing], axis=1))
        return tf.concat([tf.cast(tf.shape(tensor), dtype), tf.reshape(part, [-1])], 0)

    def found(self, values: npt.NDArray[Any]) -> KeptTensor:
        """The kept tensor, from what `read` returned."""
        rank = len(self.sizes)
        shape = tuple(int(size) for size in values[:rank])
        block = values[rank:].reshape(self.sizes)
        whole = tuple(slice(-(-size // step)) for size, step in zip(shape, self.steps, strict=True))
        site = self.site
        return KeptTensor(site.role, site.path, shape, site.dtype, block[whole], self.stride)

    @property
    def length(self) -> int:
        """The length of what `read` returns."""
        return len(self.sizes) + math.prod(self.sizes)


class Keepsakes:
    """Collects the batch tensors of one optimizer call; `pack` reads them.

    Attributes:
        vector: what `pack` returned, once the tensors have been read.
    """

    def __init__(self) -> None:
        self._kept: list[Keepsake] = []
        self.vector: Any = None

    def add(self, site: SiteKey, tensor: Any) -> None:
        """Keep a tensor, unless it is too large even in part."""
        kept = _keepsake(site, tf.convert_to_tensor(tensor))
        if kept is not None:
            self._kept.append(kept)

    def clear(self) -> None:
        """Drop all tensors."""
        self._kept = []

    def replace_tensors(self, new: Callable[[Any], Any]) -> None:
        """Replace each tensor by `new(tensor)`."""
        self._kept = [replace(kept, tensor=new(kept.tensor)) for kept in self._kept]

    @property
    def tensors(self) -> list[Any]:
        """The tensors to keep."""
        return [kept.tensor for kept in self._kept]

    @property
    def dtype(self) -> Any:
        """A type that holds all values exactly, whole numbers as far as float64 does."""
        types = [kept.tensor.dtype for kept in self._kept]
        narrow = all(t in _EXACT_IN_FLOAT32 or (t.is_floating and t.size <= 4) for t in types)
        return tf.float32 if narrow else tf.float64

    @property
    def size(self) -> int:
        """The length of the vector."""
        return sum(kept.length for kept in self._kept)

    def pack(self, copy: Callable[[Any], Any] = lambda tensor: tensor) -> Any:
        """Read all tensors into one vector.

        Args:
            copy: gives the tensor to read in place of one that was added.
        """
        dtype = self.dtype
        return tf.concat([kept.read(copy(kept.tensor), dtype) for kept in self._kept], 0)

    def find(self) -> tuple[KeptTensor, ...]:
        """The kept tensors, taken from `vector` on the host; empty if nothing was packed."""
        if self.vector is None:
            return ()
        lengths = [kept.length for kept in self._kept]
        parts = np.split(self.vector.numpy(), np.cumsum(lengths)[:-1])
        return tuple(kept.found(part) for kept, part in zip(self._kept, parts, strict=True))

    def finish(self) -> Self:
        """Forget the tensors; only their places in the vector remain."""
        self._kept = [replace(kept, tensor=None) for kept in self._kept]
        return self


class KeptFilters:
    """Keeps the filters of the first convolution over images, at growing intervals.

    They are among the samples already: such a kernel is sampled whole.
    """

    def __init__(self) -> None:
        self._site: SiteKey | None = None
        self._filters: npt.NDArray[Any] | None = None
        self._next_step = 0.0

    def keep(self, step: int, order: Sequence[SiteKey], found: "Found") -> tuple[KeptTensor, ...]:
        """The filters as sampled at this step, if their turn has come; else empty.

        Args:
            step: the number of the step.
            order: the sites in the order in which the program reaches them.
            found: the samples.
        """
        samples = dict(found.sites)
        if self._site is None:
            frozen = (site for site in samples if dict(site.facts).get("requires_grad") is False)
            self._site = next(filter(_shows_filters, [*order, *frozen]), None)
        site = self._site
        if site is None:
            return ()
        if site in samples:  # frozen filters are read only once
            part = samples[site]
            kernel = found.values[part.offset : part.offset + part.layout.size]
            # Rows, columns, channels, filters: in PyTorch's order the filters come first.
            self._filters = kernel.reshape(site.shape).transpose(3, 2, 0, 1).copy()
        if self._filters is None or step < self._next_step:
            return ()
        self._next_step = next_turn(step)
        return (KeptTensor(Role.PARAM, site.path, self._filters.shape, site.dtype, self._filters),)


def _shows_filters(site: SiteKey) -> bool:
    """Whether a site is the kernel of a convolution over images, which can be shown as images."""
    return site.role is Role.PARAM and site.module_type == "Conv2D" and are_filters(site.shape)


def _keepsake(site: SiteKey, tensor: Any) -> Keepsake | None:
    shape = tensor.shape.as_list()
    rank = len(shape)
    axes = _plane(shape)
    unknown = [MAX_EXAMPLES, *[_PIXELS if rank >= 4 else _POSITIONS] * (rank - 1)]
    known = [u if size is None else size for size, u in zip(shape, unknown, strict=True)]
    extent = batch_extent(tuple(known), axes)
    if extent is None:
        return None
    steps = [1] * rank
    for axis in axes if rank >= 4 else ():
        steps[axis] = extent.stride
    sizes = [-(-size // step) for size, step in zip(known, steps, strict=True)]
    sizes[0] = extent.examples
    return Keepsake(site, tensor, tuple(sizes), tuple(steps), extent.stride)


def _plane(shape: Sequence[int | None]) -> tuple[int, int]:
    """The axes of an image's rows and columns: by its channels, else by Keras' convention."""
    channels_first = keras.config.image_data_format() == "channels_first"
    if (shape[-1] or _FEW_CHANNELS + 1) <= _FEW_CHANNELS:
        channels_first = False
    elif len(shape) > 3 and (shape[-3] or _FEW_CHANNELS + 1) <= _FEW_CHANNELS:
        channels_first = True
    return (-2, -1) if channels_first else (-3, -2)
