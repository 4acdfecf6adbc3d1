"""Plays a capsule in the program it came from: `nntrace replay`.

The program runs as it is up to the first call of the module that was kept. Weights, arguments,
random state and what its frames name are then replaced, and its own code goes on from there: loss,
backward, and the search for the origin. The process ends when the step is over. Nothing of this
is part of a traced training.
"""

import ctypes
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from nntrace.recorder import Recorder
from nntrace.schema import RunStatus
from nntrace_torch.capsules.packing import Unpacking
from nntrace_torch.nonfinite.origin import Investigator
from nntrace_torch.optimizer.optimizers import is_given_closure
from nntrace_torch.patching import Undo, before, wrap
from nntrace_torch.program.frames import users_frames
from nntrace_torch.program.module_tree import (
    named_buffers_of,
    named_modules_of,
    named_parameters_of,
)
from nntrace_torch.replay.call import Call
from nntrace_torch.replay.calls import RootCalls
from nntrace_torch.replay.engine import device_states, original_of, set_random_states

_PLAIN = (bool, int, float)
_FRAMES = 40


class CapsulePlayer:
    """Plays one capsule in this process.

    Args:
        file: the JSON file of the capsule; its tensors lie beside it.
    """

    def __init__(
        self, recorder: Recorder, calls: RootCalls, investigator: Investigator, file: Path
    ) -> None:
        from safetensors.torch import load_file

        self._recorder = recorder
        self._calls = calls
        self._investigator = investigator
        self._outcome = recorder.run / "replay.json"
        content = _mapping(json.loads(file.read_text(encoding="utf-8")))
        tensors = load_file(file.with_suffix(".safetensors"))
        self._tensors: Mapping[str, torch.Tensor] = tensors
        self._unpacking = Unpacking(tensors)
        self._entries = [_mapping(call) for call in content.get("calls", [])]
        self._modules = [_mapping(module) for module in content.get("modules", [])]
        self._frames = [_mapping(frame) for frame in content.get("frames", [])]
        self._debugger = _mapping(content.get("origin")) if _wants_debugger() else {}
        self._waits_for_end = content.get("reason") == "loss_spike"
        self._loaded: dict[int, nn.Module] = {}  # by their number in the capsule
        self._played = 0
        self._inside = False
        self._loss: torch.Tensor | None = None
        self._notes: list[str] = []

    def install(self) -> list[Undo]:
        """Install the hooks that wait for the first call of the module that was kept."""
        guard = self._recorder.guard
        self._investigator.told = self._told
        hooks = [
            register_optimizer_step_pre_hook(guard(self._before_step)),
            register_optimizer_step_post_hook(guard(self._after_step)),
        ]
        return [
            wrap(nn.Module, "__call__", self._patched),
            before(torch.autograd, "backward", guard(self._backward)),
            *(hook.remove for hook in hooks),
        ]

    def _patched(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def __call__(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            number = None if self._inside else self._match(module)
            if number is None:
                return original(module, *args, **kwargs)
            self._inside = True
            try:
                args, kwargs = self._prepare(number, module, args, kwargs)
                run = original.__get__(module)
                return self._calls.around(run, module, args, kwargs)
            finally:
                self._inside = False

        return __call__

    def _match(self, module: nn.Module) -> int | None:
        """The capsule's number of `module`, if it is the one to be called next; else None."""
        if self._played >= len(self._entries):
            return None
        number = self._entries[self._played].get("module")
        if not isinstance(number, int) or not 0 <= number < len(self._modules):
            return None
        original = original_of(module)
        module = original if isinstance(original, nn.Module) else module
        if number in self._loaded:
            return number if self._loaded[number] is module else None
        kept = self._modules[number]
        shapes = {name: list(p.shape) for name, p in named_parameters_of(module)}
        same = shapes == kept.get("shapes")
        if not shapes:
            same = same and type(module).__qualname__ == kept.get("class")
        taken = any(loaded is module for loaded in self._loaded.values())
        return number if same and not taken else None

    def _prepare(
        self, number: int, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Load kept weights, variables and random state; the arguments to call the module with."""
        self._calls.release(type(module))  # its calls are noted here
        self._calls.steps_are_long = True
        written: Any = original_of(module)
        if number not in self._loaded:
            self._loaded[number] = written
            self._load(written, self._modules[number])
        if self._played == 0:
            self._name(sys._getframe(2))
        entry = self._entries[self._played]
        self._played += 1
        given = self._unpacking.into(args, {"tuple": entry.get("args", [])})
        named = {
            name: self._unpacking.into(kwargs.get(name), tree)
            for name, tree in _mapping(entry.get("kwargs")).items()
        }
        state = self._tensors.get(str(_mapping(entry.get("random")).get("tensor")))
        if state is not None:
            devices = {
                name: self._tensors[kept]
                for name, tree in _mapping(entry.get("devices")).items()
                if (kept := str(_mapping(tree).get("tensor"))) in self._tensors
            }
            here = device_states(every=True)
            devices = {name: kept for name, kept in devices.items() if name in here}
            set_random_states(state.numpy().tobytes(), devices)
        else:
            self._notes.append("the random state could not be kept: random numbers are others")
        if entry.get("gradients") is False:
            self._evaluate(module, given, {**kwargs, **named}, state)
        if self._debugger:
            _stop_at(self._debugger)
        return tuple(given), {**kwargs, **named}

    def _load(self, module: nn.Module, kept: Mapping[str, Any]) -> None:
        """Weights, buffers, modes and plain attributes."""
        own = dict(named_parameters_of(module)) | dict(named_buffers_of(module))
        with torch.no_grad():
            for name, tree in _mapping(kept.get("tensors")).items():
                saved = self._tensors.get(str(_mapping(tree).get("tensor")))
                if saved is None or name not in own or own[name].shape != saved.shape:
                    self._notes.append(f"{name} could not be set")
                    continue
                own[name].data.copy_(saved)
        if not kept.get("whole"):
            self._notes.append("the model was too large to be kept whole: other weights are new")
        attributes = _mapping(kept.get("attributes"))
        training, others = bool(kept.get("training", True)), kept.get("other_mode") or ()
        for name, part in named_modules_of(module):
            part.training = training != (name in others)
            for key, value in _mapping(attributes.get(name)).items():
                if type(value) in _PLAIN and type(vars(part).get(key)) in _PLAIN:
                    vars(part)[key] = value

    def _name(self, frame: FrameType | None) -> None:
        """Give the program's frames the values that their names had."""
        for one in users_frames(frame, _FRAMES):
            kept = next(
                (f for f in self._frames if f.get("function") == one.f_code.co_qualname), {}
            )
            held = one.f_locals
            for name, tree in _mapping(kept.get("names")).items():
                if name not in held:
                    continue
                value = _mapping(tree).get("value")
                if type(value) in _PLAIN and type(held[name]) in _PLAIN:
                    _assign(one, name, value)
                else:
                    self._unpacking.into(held[name], tree, tensors_only=True)

    def _evaluate(
        self, module: nn.Module, args: Any, kwargs: dict[str, Any], state: torch.Tensor | None
    ) -> None:
        """A forward without gradients is replayed by itself: the loop may be far from it."""
        random = None if state is None else state.numpy().tobytes()
        call = Call(module, tuple(args), kwargs, random, (), 0, gradients_enabled=False)
        self._investigator.output_broke(call)
        self._finish({"outcome": "finite"})

    def _backward(self, tensors: Any = None, *args: Any, **kwargs: Any) -> None:
        if isinstance(tensors, torch.Tensor) and tensors.numel() == 1:
            self._loss = tensors.detach()

    def _before_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        if not self._waits_for_end and not is_given_closure(args, kwargs):
            self._after_step(optimizer, args, kwargs)

    def _after_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        if self._played:
            self._finish({"outcome": "finite"})

    def _told(self, payload: dict[str, Any]) -> None:
        if self._played:
            self._finish({"outcome": "origin", "origin": payload})

    def _finish(self, outcome: dict[str, Any]) -> None:
        """Say what came of it and end the process; the program has nothing more to do."""
        loss = None if self._loss is None else float(self._loss)
        facts = {**outcome, "loss": repr(loss), "notes": self._notes, "calls": self._played}
        self._recorder.close(RunStatus.FINISHED)
        self._outcome.parent.mkdir(parents=True, exist_ok=True)
        self._outcome.write_text(json.dumps(facts, default=str), encoding="utf-8")
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)  # whatever the program would catch


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _assign(frame: FrameType, name: str, value: Any) -> None:
    """Give a name of a running frame another value, as a debugger does."""
    frame.f_locals[name] = value
    if sys.version_info < (3, 13):  # from then on `f_locals` writes through
        ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))


def _wants_debugger() -> bool:
    return os.environ.get("NNTRACE_REPLAY_PDB") == "1"


def _stop_at(origin: Mapping[str, Any]) -> None:
    """Open the debugger where the line of the origin is reached next."""
    import pdb

    file, line = origin.get("file"), origin.get("line")
    if not isinstance(file, str) or not isinstance(line, int):
        return

    class Desk(pdb.Pdb):
        def set_quit(self) -> None:
            os._exit(0)

    debugger = Desk()
    debugger.reset()
    debugger.set_break(file, line)
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:  # lines of frames that run already count, too
        frame.f_trace = debugger.trace_dispatch
        debugger.botframe = frame
        frame = frame.f_back
    debugger.set_continue()
    sys.settrace(debugger.trace_dispatch)
