"""Notices a `load_state_dict` after which every weight of the module is what it was."""

import sys
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.patching import Undo, after, before
from nntrace_torch.program.module_tree import parameter_at
from nntrace_torch.program.ranks import local_part
from nntrace_torch.program.sources import caller
from nntrace_torch.program.tensors import memory_of

_MANY = 16  # of a run


class LoadObserver:
    """Watches `Module.load_state_dict`.

    Attributes:
        begins: called before weights are loaded.
        ended: called after.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._told = 0
        self._unmatched: weakref.WeakSet[nn.Module] = weakref.WeakSet()
        self.begins: Callable[[], object] = lambda: None
        self.ended: Callable[[], object] = lambda: None

    def install(self) -> list[Undo]:
        """Watch the method of every module."""
        guard, method = self._recorder.guard, "load_state_dict"
        return [
            before(nn.Module, method, guard(lambda *args, **kwargs: self.begins())),
            after(nn.Module, method, guard(self._loaded)),
        ]

    def _loaded(
        self,
        result: Any,
        module: nn.Module,
        state_dict: Any = None,
        strict: bool = True,
        assign: bool = False,
    ) -> None:
        self.ended()
        if not isinstance(state_dict, Mapping) or not state_dict:
            return
        unexpected: list[str] = getattr(result, "unexpected_keys", [])
        if set(unexpected) >= set(state_dict) and result.missing_keys:
            self._unmatched.add(module)
            self._tell("unmatched", module, given=unexpected[0], wanted=result.missing_keys[0])
        elif self._recorder.steps and not assign and _is_its_own(module, state_dict):
            if not _is_read_already():
                self._tell("own", module)
        elif module in self._unmatched:  # another attempt, which worked
            self._unmatched.discard(module)
            self._tell(None, module)

    def _tell(self, why: str | None, module: nn.Module, **names: str) -> None:
        self._told += 1
        if self._told > _MANY:
            return
        self._recorder.add_event(
            EventKind.LOADED,
            {
                "module": id(module),
                "class": type(module).__name__,
                "why": why,
                **names,
                **caller().place,
            },
            severity="warning" if why else "info",
        )


def _is_its_own(module: nn.Module, state: Mapping[str, Any]) -> bool:
    """Whether the tensors to load are those of the module itself, which copying leaves as is."""
    own = [(value, parameter_at(module, str(name))) for name, value in state.items()]
    pairs = [(value, one) for value, one in own if one is not None]
    return bool(pairs) and all(
        isinstance(value, torch.Tensor) and (at := _place(value)) is not None and at == _place(one)
        for value, one in pairs
    )


def _is_read_already() -> bool:
    """Whether a distributed checkpoint is loaded: its values were read into these very tensors."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_globals.get("__name__") == "torch.distributed.checkpoint.state_dict":
            return True
    return False


def _place(tensor: torch.Tensor) -> int | None:
    """Where its elements lie, or this rank's; None if it has no memory of its own."""
    part = local_part(tensor)
    return part.data_ptr() if memory_of(part) is not None else None
