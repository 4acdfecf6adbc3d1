"""The sample buffer: one preallocated piece of memory on the device of the model.

During a step hooks copy strided views into it; at its end everything goes to the host in one
copy, without waiting for an accelerator.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nntrace.recorder import Layout
from nntrace.recorder.sample import SiteSample

_CHUNK = 1 << 20  # float32 elements: 4 MiB


class SampleBuffer:
    """Sampled elements of one step on one device, packed one site after the other."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._memory = torch.empty(_CHUNK, dtype=torch.float32, device=device)
        self._used = 0
        self.parts: list[SiteSample] = []

    def clear(self) -> None:
        """Forget the last step's samples; the memory is kept."""
        self._used = 0
        self.parts = []

    def reserve(self, size: int) -> tuple[int, torch.Tensor]:
        """Room for `size` elements: its offset and a one-dimensional view of it."""
        offset = self._used
        if offset + size > len(self._memory):
            grown = torch.empty(
                max(2 * len(self._memory), offset + size), dtype=torch.float32, device=self.device
            )
            grown[:offset] = self._memory[:offset]
            self._memory = grown
        self._used = offset + size
        return offset, self._memory[offset : offset + size]

    def add(self, site: int, layout: Layout, view: torch.Tensor) -> torch.Tensor:
        """Copy a site's sampled elements in; the part of the buffer that holds them."""
        offset, room = self.reserve(layout.size)
        room.view(view.shape).copy_(view)
        self.parts.append(SiteSample(site, offset, layout))
        return room

    def put(self, values: torch.Tensor) -> tuple[int, int]:
        """Copy values that are no site's in; their offset and number."""
        flat = values.reshape(-1)
        offset, room = self.reserve(flat.numel())
        room.copy_(flat)
        return offset, flat.numel()

    def used(self) -> torch.Tensor:
        """What was put in this step."""
        return self._memory[: self._used]


class HostCopies:
    """Copies on their way to the host; calls back in order when their values are there."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Any, torch.Tensor, Callable[[Any], None]]] = deque()

    def fetch(
        self, values: torch.Tensor, arrived: Callable[[npt.NDArray[np.float32]], None]
    ) -> None:
        """Give `arrived` a host copy of `values`: at once on a CPU, later on an accelerator."""
        if values.device.type != "cuda":
            self.flush()
            # A tensor's own copy would be one more kernel in the user's profile.
            arrived(values.detach().cpu().numpy().copy())
            return
        host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
        host.copy_(values, non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        self._waiting.append((event, host, arrived))

    def poll(self) -> None:
        """Deliver the copies that have arrived; never waits."""
        while self._waiting and self._waiting[0][0].query():
            _, host, arrived = self._waiting.popleft()
            arrived(host.numpy())

    def flush(self) -> None:
        """Wait for all copies and deliver them."""
        while self._waiting:
            event, host, arrived = self._waiting.popleft()
            event.synchronize()
            arrived(host.numpy())
