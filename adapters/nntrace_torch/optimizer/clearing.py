"""Whether the program clears gradients between two optimizer steps, and within one.

A gradient was not cleared if it has neither been replaced (`zero_grad`) nor written to (`zero_`)
when the next backward begins, nor is it gone before a later backward of the same step: samplers
and attacks, whose gradients are for their inputs, run before the program clears. With several
optimizers, the gradients of one rightly outlive the step of another: they count as uncleared if
every backward finds them until the same optimizer steps again, with them, and if a backward has
added to them: a program that writes gradients itself may overwrite them. Within a step, gradients
that are gone when the backward of the next micro-batch begins were computed for nothing, unless the
parameters were changed meanwhile (SAM), the gradients are zero at the end of the step as well
(units that never fire), or the program reads gradients itself (GEM keeps those of earlier tasks).
That has to be so in all of a few steps: at the end of an epoch a rest of micro-batches may be
dropped.
"""

import sys
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from types import FrameType

import torch
from torch.optim import Optimizer

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.program.frames import users_frames
from nntrace_torch.program.sources import Source, caller

_LOST = 5  # steps in a row in which backwards had no effect, after which that is reported
_WATCHED = 8  # parameters; one that was not cleared is enough
_TURNS = 8  # optimizers that step one after the other

# A parameter, the gradient it was stepped with, and how often that had been written to.
_Held = tuple[weakref.ref[torch.Tensor], weakref.ref[torch.Tensor], int]


@dataclass
class _Turn:
    """Some parameters of an optimizer and the gradients it stepped with, until it steps again."""

    held: list[_Held]
    is_looked_at: bool = False
    is_left: bool = True

    @property
    def is_added_to(self) -> bool:
        """Whether PyTorch has counted a write to one of the gradients, as a backward's is."""
        return any((g := held[1]()) is not None and g._version != held[2] for held in self.held)

    def look(self) -> None:
        self.is_looked_at = True
        self.is_left = self.is_left and any(map(_is_left, self.held))


def _is_left(held: _Held) -> bool:
    parameter, gradient = held[0](), held[1]()
    if parameter is None or gradient is None or parameter.grad is not gradient:
        return False
    return bool(gradient.any())


def _is_as_stepped_with(watched: _Held) -> bool:
    known = watched[1]()
    return known is not None and known._version == watched[2] and _is_left(watched)


def _some_gradients(optimizer: Optimizer) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Some parameters of an optimizer that have a gradient, each with it."""
    parameters = (p for group in optimizer.param_groups for p in group["params"])
    given = ((p, gradient) for p in parameters if (gradient := p.grad) is not None)
    return list(islice(given, _WATCHED))


def _held(given: list[tuple[torch.Tensor, torch.Tensor]]) -> list[_Held]:
    return [(weakref.ref(p), weakref.ref(gradient), gradient._version) for p, gradient in given]


def _state(parameter: torch.Tensor | None) -> tuple[int, int]:
    """What changes when a parameter is given a gradient, or more of it; needs no waiting."""
    gradient = None if parameter is None else parameter.grad
    return (0, 0) if gradient is None else (id(gradient), gradient._version)


def _reads_gradients(frame: FrameType | None) -> bool:
    """Whether the functions that lead to this call, or functions they call, name `.grad`."""
    for one in users_frames(frame):
        owner = type(one.f_locals.get("self"))
        called = [one.f_globals.get(n, getattr(owner, n, None)) for n in one.f_code.co_names]
        codes = [one.f_code, *(getattr(function, "__code__", None) for function in called)]
        if any("grad" in code.co_names for code in codes if code is not None):
            return True
    return False


class GradientClearing:
    """Remembers some gradients at the end of a step and looks at them before the next backwards.

    Attributes:
        afterwards: has something called once, when the backward pass that begins is over.
        cleared: whether this step began with cleared gradients; None if that was not looked at.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.afterwards: Callable[[Callable[[], object]], object] = lambda call: None
        self._stepped: list[tuple[weakref.ref[torch.Tensor], int]] = []
        self._before: list[tuple[int, int]] = []  # their gradients' states, before a backward
        self._is_given = False
        self._lost = 0
        self._gone_at: Source | None = None  # the backward before which this step's were gone
        self._is_added_to = False  # whether a backward of this step found those of another
        self._watched: list[_Held] = []
        self._turns: dict[int, _Turn] = {}
        self._alone = 0  # id of the optimizer, where there is only one
        self.cleared: bool | None = None

    def remember(self, optimizer: Optimizer, *, alone: bool, goes_on: bool) -> None:
        """Remember gradients at the end of a step, because the next step is sampled.

        Args:
            optimizer: the one that has stepped.
            alone: whether it is the only one.
            goes_on: whether this step was sampled, too.
        """
        self._watched, self._stepped, self._gone_at = [], [], None
        self._before, self._is_given, self._is_added_to = [], False, False
        if not goes_on:
            self._turns.clear()
        if not alone:
            if len(self._turns) < _TURNS:
                self._turns[id(optimizer)] = _Turn(_held(_some_gradients(optimizer)))
            return
        self._turns.clear()
        self._alone = id(optimizer)
        given = _some_gradients(optimizer)
        self._watched = _held(given)
        self._stepped = [(weakref.ref(p), p._version) for p, _ in given]

    def look(self) -> None:
        """Look at the gradients before each backward of a step, until they are cleared."""
        if not self._watched:
            return
        if self.cleared is None:
            # Gradients that `zero_grad` has replaced are gone: nearly always, all of them are.
            alive = [watched for watched in self._watched if watched[1]() is not None]
            self.cleared = not any(map(_is_as_stepped_with, alive))
            self._before = [_state(reference()) for reference, _ in self._stepped]
            self.afterwards(self._note_given)
        else:
            gradients = (p.grad for reference, _ in self._stepped if (p := reference()) is not None)
            self.cleared = not any(g is not None and bool(g.any()) for g in gradients)
        if self.cleared:
            self._watched = []

    def _note_given(self) -> None:
        """Note whether the first backward of a step has given gradients to the parameters.

        Parameters that are copies of the model's, for mixed precision, get theirs by the program.
        """
        if self._before:  # no other step has begun meanwhile
            self._is_given = self._before != [_state(reference()) for reference, _ in self._stepped]
            self._before = []

    def gathered(self) -> None:
        """The optimizer has kept this step's gradients so far: they may be cleared."""
        self._is_given = False

    def look_at_turns(self) -> None:
        """Look at them before each backward, where several optimizers take turns."""
        for turn in self._turns.values():
            turn.look()

    def look_between(self) -> None:
        """Look whether gradients are gone before a further backward of the same step."""
        if self._lost >= _LOST or not self._is_given:
            return
        for reference, version in self._stepped:
            parameter = reference()
            if parameter is None or parameter._version != version:
                return
            if parameter.grad is not None and bool(parameter.grad.any()):
                self._is_added_to = True
                return
        if self._lost == _LOST - 1 and _reads_gradients(sys._getframe(1)):
            self._lost = _LOST
        else:
            self._gone_at = caller()

    def take(self, optimizer: Optimizer) -> bool | None:
        """Whether gradients were cleared before the step of `optimizer` that is now over.

        None if that was not looked at. Must be called while the gradients still exist.
        """
        turn = self._turns.pop(id(optimizer), None)
        if turn is not None and turn.is_looked_at:
            turn.look()  # the program may have set gradients without a backward
            if turn.is_left and not turn.is_added_to:
                return None
            return not turn.is_left
        if self._is_added_to:
            self._lost = 0
        elif self._gone_at is not None:
            self._count_lost(self._gone_at)
        self._gone_at = None
        cleared, self.cleared = self.cleared, None
        return cleared if self._alone == id(optimizer) else None

    def _count_lost(self, source: Source) -> None:
        parameters = (reference() for reference, _ in self._stepped)
        left = (parameter.grad for parameter in parameters if parameter is not None)
        if not any(gradient is not None and bool(gradient.any()) for gradient in left):
            return
        self._lost += 1
        if self._lost == _LOST:
            payload = {"cleared_within": self._lost, **source.place}
            self._recorder.add_event(EventKind.IDLE, payload, severity="warning")
