"""Samples the activations of compiled code by replaying its forward eagerly.

Module hooks would be compiled into the graph, or break it, so they are off while compiled code
runs. On sampled steps the original module is run first, without gradients, and sampled. Parameters,
gradients, updates and the loss come from the real step.
"""

import functools
from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.loss.losses import LossObserver
from nntrace_torch.patching import Undo, is_captured, wrap
from nntrace_torch.program.compilers import (
    class_of_compilers,
    compiled_modules,
    has_compiled_functions,
    leave_uncompiled,
    uncompiled,
)
from nntrace_torch.replay.calls import RootCalls
from nntrace_torch.replay.engine import Replayer, original_of
from nntrace_torch.replay.guard import ReplayEndedError, ReplayRefusedError, WriteGuard
from nntrace_torch.samples.forward import ForwardSampler


class CompiledCalls:
    """Watches the calls of what `torch.compile` returned."""

    def __init__(
        self,
        recorder: Recorder,
        forward: ForwardSampler,
        losses: LossObserver,
        replayer: Replayer,
        calls: RootCalls,
        compiles: Callable[[], None],
    ) -> None:
        self._recorder = recorder
        self._forward = forward
        self._losses = losses
        self._replayer = replayer
        self._calls = calls
        self._compiles = recorder.guard(compiles)
        self._replay = recorder.guard(self._sample_replay)
        self._undos: list[Undo] = []
        self._without_modules: set[int] = set()  # ids of code that calls no module
        self._unseen: set[str] = set()

    @property
    def has_unseen(self) -> bool:
        """Whether something compiled was said to be unseen."""
        return bool(self._unseen)

    def install(self) -> list[Undo]:
        """Watch `torch.compile`, and the modules that it has made before."""

        def undo() -> None:
            for one in self._undos:
                one()
            self._undos.clear()

        kind = compiled_modules()
        if kind is not None:
            self._watch_class(kind)
        if kind is not None or has_compiled_functions():
            self._compiles()
        return [wrap(torch, "compile", self._patched), undo]

    def _patched(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def compile(*args: Any, **kwargs: Any) -> Any:  # noqa: A001  the name it has in torch
            compiled = original(*args, **kwargs)
            self._compiles()  # imports the compiler, as the original has done
            model = args[0] if args else kwargs.get("model")
            if model is None or compiled is model or not self._recorder.active:
                return compiled
            written = original_of(model)
            if isinstance(written, nn.Module):
                self._calls.release(type(written))
            if isinstance(compiled, nn.Module):
                self._watch_class(type(compiled))
                return compiled
            return self._observed(compiled, model)

        return compile

    def _further(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Watch what the compiler of a module compiles besides, as Lightning does with methods.

        What it makes for `torch.compile` and for the module itself is watched there.
        """

        def compile_further(compiler: Any, function: Callable[..., Any]) -> Any:
            compiled = original(compiler, function)
            is_other = isinstance(compiled, FunctionType) and self._recorder.active
            if not is_other or isinstance(original_of(function), nn.Module):
                return compiled
            return self._observed(compiled, function, replays=False)

        return compile_further

    def _watch_class(self, kind: type[nn.Module]) -> None:
        """Watch the calls of all compiled modules, which are of one class of PyTorch's."""
        if not self._undos:
            calls = self

            def make(original: Callable[..., Any]) -> Callable[..., Any]:
                def __call__(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
                    return calls.call(
                        lambda *a, **k: original(module, *a, **k), module, args, kwargs
                    )

                return uncompiled(__call__)

            self._undos.append(wrap(kind, "__call__", make))
            leave_uncompiled(kind.__call__)
            self._undos.append(wrap(class_of_compilers(), "__call__", self._further))

    def _observed(
        self, compiled: Callable[..., Any], model: Callable[..., Any], *, replays: bool = True
    ) -> Any:
        """A compiled function whose calls are observed, invisibly to the compiler."""

        def make(original: Callable[..., Any]) -> Callable[..., Any]:
            def observed(*args: Any, **kwargs: Any) -> Any:
                return self.call(original, model, args, kwargs, replays=replays)

            return observed

        return stand_in(compiled, make)

    def call(
        self,
        compiled: Callable[..., Any],
        model: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        replays: bool = True,
    ) -> Any:
        """Make one call of compiled code, or of the original code during a replay.

        Without `replays` its activations stay unseen: a framework's own method, which also logs
        and counts, may not run twice.
        """
        if self._replayer.active:
            return original_of(model)(*args, **kwargs)
        if is_captured():
            return compiled(*args, **kwargs)
        if not self._forward.has_hooks_on:
            return self._calls.around(compiled, model, args, kwargs)
        if torch.is_grad_enabled():
            if replays:
                self._replay(model, args, kwargs)
            else:
                self._say_unseen(original_of(model), "what else it does would happen twice")
        with self._forward.paused():
            return self._calls.around(compiled, model, args, kwargs)

    def _sample_replay(
        self, model: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Sample the activations of a forward that compiled code is about to make."""
        written = original_of(model)
        if isinstance(getattr(written, "__self__", None), Optimizer):
            return
        key = id(getattr(written, "__code__", written))
        if key in self._without_modules:
            return
        with self._forward.replaying() as called:
            self._losses.replays = True
            try:
                self._replayer.run(written, args, kwargs, WriteGuard())
            except ReplayEndedError:
                pass
            except (Exception, ReplayRefusedError) as error:
                self._say_unseen(written, error)
                self._without_modules.add(key)
            finally:
                self._losses.replays = False
        if not called and not isinstance(written, nn.Module):
            self._without_modules.add(key)

    def _say_unseen(self, written: Callable[..., Any], error: BaseException | str) -> None:
        name = getattr(written, "__qualname__", type(written).__name__)
        if name not in self._unseen:
            self._unseen.add(name)
            reason = f"{name} is compiled and could not be replayed: {error}"
            self._recorder.add_event(EventKind.UNSEEN, {"what": "activation", "reason": reason})


def stand_in(
    function: Callable[..., Any], make: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> Callable[..., Any]:
    """`make(function)`, which callers and the compiler take for the compiled function itself."""
    standing: Any = functools.wraps(function)(make(function))
    if hasattr(function, "_torchdynamo_wrapper_id"):  # identifies compiled functions
        standing._torchdynamo_wrapper_id = id(standing)
    found: Callable[..., Any] = standing
    return found
