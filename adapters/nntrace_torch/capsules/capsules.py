"""Keeps one training step as a capsule: its batch, weights and random state before the optimizer.

Copies are made at once, as the program goes on; the writer thread writes them to disk. The number
and the bytes of capsules are capped, and a capsule lists what was left out.
"""

import hashlib
import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import nn

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.capsules.packing import Packing
from nntrace_torch.program.frames import users_frames
from nntrace_torch.program.module_tree import (
    named_buffers_of,
    named_modules_of,
    named_parameters_of,
)
from nntrace_torch.replay.call import Call
from nntrace_torch.replay.engine import original_of
from nntrace_torch.samples.modules import Models

CAPSULE_BYTES = 64 << 20  # the most of one capsule: copied in some ten milliseconds
_RUN_BYTES = 256 << 20  # the most of all capsules of a run
_NAMED_BYTES = 16 << 20  # the most of tensors that the program's frames hold by name
_KEPT = {"nonfinite": 4, "loss_spike": 2}
_CALLS = 16
_FRAMES = 40
_SOURCE_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Moment:
    """What a capsule is made of, and why.

    Attributes:
        reason: `nonfinite` or `loss_spike`.
        calls: the calls of outermost modules that led to it.
        frame: the program's innermost frame.
        facts: further keys of the capsule: the loss, the origin.
        culprit: the module that computed the value, kept where the whole model is too large.
    """

    reason: str
    calls: Sequence[Call]
    frame: FrameType | None
    facts: dict[str, Any]
    culprit: nn.Module | None = None


class Capsules:
    """Makes the capsules of one process."""

    def __init__(self, recorder: Recorder, models: Models) -> None:
        self._recorder = recorder
        self._models = models
        self._kept = dict.fromkeys(_KEPT, 0)
        self._bytes = 0
        self._is_missing = False

    def wants(self, reason: str) -> bool:
        """Whether there is room for one more capsule of this reason."""
        return (
            self._recorder.sampling.capsules
            and not self._is_missing
            and self._kept[reason] < _KEPT[reason]
            and self._bytes < _RUN_BYTES
        )

    def keep(self, moment: Moment) -> None:
        """Make a capsule of a moment; the writer thread writes it."""
        if not self.wants(moment.reason) or not moment.calls:
            return
        if importlib.util.find_spec("safetensors") is None:
            self._is_missing = True
            reason = "safetensors is not installed: pip install 'nntrace[torch]'"
            self._recorder.add_event(EventKind.UNSEEN, {"what": "capsule", "reason": reason})
            return
        packing = Packing(min(CAPSULE_BYTES, _RUN_BYTES - self._bytes))
        content = self._content(moment, packing)
        self._kept[moment.reason] += 1
        self._bytes += packing.bytes
        self._recorder.add_capsule(content, partial(_save, packing.tensors))

    def _content(self, moment: Moment, packing: Packing) -> dict[str, Any]:
        # The batch first: it is the smallest, and without it nothing can be replayed.
        roots: list[nn.Module] = []
        calls = [
            described
            for number, call in enumerate(moment.calls[-_CALLS:])
            if (described := _call(call, number, roots, packing)) is not None
        ]
        frames = list(_frames(moment.frame, packing))
        modules = [
            self._module(root, number, moment.culprit, packing) for number, root in enumerate(roots)
        ]
        return {
            "format": 1,
            "reason": moment.reason,
            **moment.facts,
            "torch": torch.__version__,
            "calls": calls,
            "modules": modules,
            "frames": frames,
            "sources": _sources(moment.frame),
            "left_out": packing.left_out,
        }

    def _module(
        self, root: nn.Module, number: int, culprit: nn.Module | None, packing: Packing
    ) -> dict[str, Any]:
        """A module's parameters and buffers; only the culprit's if all are too large."""
        state = {
            name: tensor
            for name, tensor in (*named_parameters_of(root), *named_buffers_of(root))
            if tensor.layout is torch.strided and tensor.device.type != "meta"
        }
        size = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
        whole = packing.bytes + size <= CAPSULE_BYTES
        if not whole:
            packing.left_out.append(f"{type(root).__name__}: {size / 2**20:.0f} MiB of weights")
            path = next((name for name, m in named_modules_of(root) if m is culprit), None)
            inside = () if not path else (f"{path}.",)
            state = {name: t for name, t in state.items() if inside and name.startswith(inside)}
        model = self._models.owner_of(root)
        return {
            "class": type(root).__qualname__,
            "defined_in": type(root).__module__,
            "path": "" if model is None else model.path_of(root) or "",
            "training": root.training,
            "other_mode": [n for n, m in named_modules_of(root) if m.training != root.training],
            "shapes": {name: list(tensor.shape) for name, tensor in named_parameters_of(root)},
            "whole": whole,
            "attributes": {
                name: own
                for name, module in named_modules_of(root)
                if not type(module).__module__.startswith("torch.")
                and (own := {k: v for k, v in vars(module).items() if _is_setting(k, v)})
            },
            "tensors": {
                name: packing.tensor(tensor, f"module.{number}.{name}")
                for name, tensor in state.items()
            },
        }


def _call(
    call: Call, number: int, roots: list[nn.Module], packing: Packing
) -> dict[str, Any] | None:
    """A call as JSON; adds its module to `roots`.

    None for a compiled function, which a replay could not find again.
    """
    compute = original_of(call.compute)
    if not isinstance(compute, nn.Module):
        packing.left_out.append(f"call {number}: of a compiled function, which is no module")
        return None
    if all(compute is not root for root in roots):
        roots.append(compute)
    name = f"call.{number}"
    return {
        "module": next(i for i, root in enumerate(roots) if root is compute),
        "args": [packing.tree(value, f"{name}.{i}") for i, value in enumerate(call.args)],
        "kwargs": {key: packing.tree(v, f"{name}.{key}") for key, v in call.kwargs.items()},
        "random": _random(call, number, packing),
        "devices": {
            name: packing.tensor(state, f"random.{number}.{name}")
            for name, state in call.devices.items()
        },
        "autocast": [[device, str(dtype)] for device, dtype in call.autocast],
        "gradients": call.gradients_enabled,
        "micro_batch": call.micro_batch + 1,
    }


def _random(call: Call, number: int, packing: Packing) -> dict[str, Any] | None:
    if call.random is None:
        return None
    state = torch.frombuffer(bytearray(call.random), dtype=torch.uint8)
    return packing.tensor(state, f"random.{number}")


def _frames(frame: FrameType | None, packing: Packing) -> Iterator[dict[str, Any]]:
    """The variables of the program's frames that are no results of the model: targets, numbers."""
    used = set[str]()
    room = packing.bytes + _NAMED_BYTES
    for number, one in enumerate(users_frames(frame, _FRAMES)):
        code = one.f_code
        used |= {*code.co_names, *code.co_varnames, *code.co_freevars, *code.co_cellvars}
        held = one.f_locals
        kept = {}
        for name in [name for name in held if name in used]:
            value = held[name]
            if _is_setting(name, value) or (
                _is_data(value) and packing.bytes + _size(value) <= room
            ):
                kept[name] = packing.tree(value, f"frame.{number}.{name}")
        if kept:
            yield {"function": code.co_qualname, "file": code.co_filename, "names": kept}


def _is_data(value: Any) -> bool:
    """Whether it is a tensor that was not computed from weights, or a collection with one."""
    if isinstance(value, torch.Tensor):
        return value.grad_fn is None and not isinstance(value, nn.Parameter)
    parts = value.values() if isinstance(value, dict) else value
    if not isinstance(value, (list, tuple, dict)) or len(value) > 64:
        return False
    return any(isinstance(part, torch.Tensor) and _is_data(part) for part in parts)


def _is_setting(name: str, value: Any) -> bool:
    """Whether it is a number that may steer the program, as `step` or `temperature`."""
    return type(value) in (bool, int, float) and not name.startswith("_") and name != "training"


def _size(value: Any) -> int:
    parts = value.values() if isinstance(value, dict) else value
    tensors = [value] if isinstance(value, torch.Tensor) else parts
    return sum(t.numel() * t.element_size() for t in tensors if isinstance(t, torch.Tensor))


def _sources(frame: FrameType | None) -> dict[str, str]:
    """The checksums of the program's files, so that a replay can tell whether they have changed."""
    found: dict[str, str] = {}
    for one in users_frames(frame, _FRAMES):
        file = Path(one.f_code.co_filename)
        try:
            if str(file) not in found and file.stat().st_size <= _SOURCE_BYTES:
                found[str(file)] = hashlib.sha256(file.read_bytes()).hexdigest()
        except OSError:
            continue
    return found


def _save(tensors: dict[str, torch.Tensor], file: Path) -> None:
    from safetensors.torch import save_file

    save_file(tensors, file)
