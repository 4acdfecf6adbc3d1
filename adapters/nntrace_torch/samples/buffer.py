"""The sample buffer: one preallocated piece of memory on the device of the model.

During a step hooks copy strided views into it; at its end everything goes to the host in one
copy, without waiting for an accelerator.
"""

import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nntrace.recorder import SiteSample
from nntrace_torch.program.devices import queue
from nntrace_torch.samples.plans import Plan
from nntrace_torch.samples.rows import Rows

_CHUNK = 1 << 20  # float32 elements: 4 MiB
_WORTH_HANDING_OVER = 1 << 18


class SampleBuffer:
    """Sampled elements of one step on one device, packed one site after the other."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._memory = torch.empty(_CHUNK, dtype=torch.float32, device=device)
        self._free: deque[torch.Tensor] = deque()
        self._used = 0
        # Of the step's turn, by identity: many tensors have the same plan.
        self._turned: dict[int, tuple[Plan, tuple[int, ...], int]] = {}
        self.parts: list[SiteSample] = []

    def clear(self) -> None:
        """Forget the last step's samples; keep the memory."""
        self._used = 0
        self._turned.clear()
        self.parts = []

    def add(self, site: int, plan: Plan, tensor: torch.Tensor, turn: int) -> torch.Tensor:
        """Copy a site's sampled elements in; the room that holds them, units last.

        Args:
            site: whose they are.
            plan: which elements; made for this tensor's shape and strides.
            tensor: detached.
            turn: moves the sampled rows.
        """
        offset = self._reserve(plan.numel)
        room = self._memory.as_strided(plan.size, plan.packed, offset)
        room.copy_(plan.view(tensor, turn))
        self.parts.append(SiteSample(site, offset, plan.layout))
        return room

    def add_flat(self, rows: Rows, views: Sequence[torch.Tensor]) -> torch.Tensor:
        """Copy views of one type and equal last axis in at once; the room that holds them all."""
        offset = self._reserve(rows.size)
        room = self._memory[offset : offset + rows.size]
        if views[0].dim() == 2:
            room = room.view(-1, views[0].shape[1])
        if views[0].dtype is torch.float32:
            torch.cat(list(views), out=room)
        else:
            torch._foreach_copy_(list(room.split_with_sizes(list(map(len, views)))), list(views))
        self.parts += rows.at(offset)
        return room

    def add_each(self, seen: Sequence[tuple[int, Plan, torch.Tensor]], turn: int) -> None:
        """Copy the sampled elements of several tensors in at once, each with its site and plan.

        To be called without gradient recording.
        """
        offset = self._reserve(sum([plan.numel for _, plan, _ in seen]))
        memory, rooms, views = self._memory, [], []
        turned = self._turned
        for site, plan, tensor in seen:
            found = turned.get(id(plan))
            if found is None:
                found = turned[id(plan)] = (plan, *plan.at(turn))
            _, strides, moved = found
            size = plan.size
            views.append(tensor.as_strided(size, strides, tensor.storage_offset() + moved))
            rooms.append(memory.as_strided(size, plan.packed, offset))
            self.parts.append(SiteSample(site, offset, plan.layout))
            offset += plan.numel
        torch._foreach_copy_(rooms, views)

    def put(self, values: torch.Tensor) -> tuple[int, int]:
        """Copy in values that belong to no site; returns their offset and number."""
        flat = values.reshape(-1)
        offset = self._reserve(flat.numel())
        self._memory[offset : offset + flat.numel()].copy_(flat)
        return offset, flat.numel()

    def _reserve(self, size: int) -> int:
        """Make room for `size` elements and return its offset; earlier rooms stay readable."""
        offset = self._used
        self._used = offset + size
        if self._used > len(self._memory):
            grown = torch.empty(
                max(2 * len(self._memory), self._used), dtype=torch.float32, device=self.device
            )
            grown[:offset] = self._memory[:offset]
            self._memory = grown
        return offset

    def used(self) -> torch.Tensor:
        """The part of the buffer that this step has filled."""
        return self._memory[: self._used]

    def take(self) -> npt.NDArray[np.float32]:
        """What was put in this step, on the host and no longer the buffer's.

        A large step is handed over with its memory, which comes back when the array is gone:
        fresh memory would cost a page fault every 4 KiB.
        """
        if self.device.type != "cpu" or self._used < _WORTH_HANDING_OVER:
            # A tensor's own copy would be one more kernel in the user's profile.
            return self.used().cpu().numpy().copy()
        memory = self._memory
        self._memory = self._free.pop() if self._free else torch.empty_like(memory)
        whole = memory.numpy()
        # All views of `whole` keep it alive, whoever holds them.
        weakref.finalize(whole, self._free.append, memory).atexit = False
        return whole[: self._used]


class Buffers(dict[torch.device, SampleBuffer]):
    """A buffer for each device, made when it is first needed."""

    def __missing__(self, device: torch.device) -> SampleBuffer:
        buffer = self[device] = SampleBuffer(device)
        return buffer


def recorded(device: torch.device) -> Any:
    """An event that completes when the accelerator has finished all work queued so far."""
    module = queue(device)
    event = module.Event()
    event.record(module.current_stream(device))  # of this device, not of the program's current one
    return event


class SentNumber:
    """A number on its way from an accelerator to the host; only reading it waits."""

    __slots__ = ("_event", "_host")

    def __init__(self, number: torch.Tensor) -> None:
        self._host = torch.empty((), dtype=number.dtype, device="cpu", pin_memory=True)
        self._host.copy_(number.detach().reshape(()), non_blocking=True)
        self._event = recorded(number.device)

    @property
    def has_arrived(self) -> bool:
        """Whether the number can be read without waiting."""
        return bool(self._event.query())

    def __float__(self) -> float:
        if not self.has_arrived:
            self._event.synchronize()
        return float(self._host)


Number = torch.Tensor | SentNumber | float


class HostCopies:
    """Copies on their way to the host; calls back in order when they have arrived.

    Attributes:
        waiting: the copies, oldest first.
    """

    def __init__(self) -> None:
        self.waiting: deque[tuple[Any, torch.Tensor, Callable[[Any], None]]] = deque()

    def fetch(
        self, buffer: SampleBuffer, arrived: Callable[[npt.NDArray[np.float32]], None]
    ) -> None:
        """Give `arrived` what the buffer holds: at once on a CPU, later on an accelerator."""
        if queue(buffer.device) is None:
            self.flush()
            arrived(buffer.take())
            return
        values = buffer.used()
        host = torch.empty(values.shape, dtype=values.dtype, device="cpu", pin_memory=True)
        host.copy_(values, non_blocking=True)
        self.waiting.append((recorded(buffer.device), host, arrived))

    def poll(self) -> None:
        """Deliver the copies that have arrived; never waits."""
        while self.waiting and self.waiting[0][0].query():
            _, host, arrived = self.waiting.popleft()
            arrived(host.numpy())

    def flush(self) -> None:
        """Wait for all copies and deliver them."""
        while self.waiting:
            event, host, arrived = self.waiting.popleft()
            event.synchronize()
            arrived(host.numpy())
