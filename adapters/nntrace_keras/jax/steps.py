"""The steps of training loops of a program's own on JAX: gradients, and what is done with them.

A step is an optimizer's. Without one it has been made by hand when the next gradients are computed
at other weights than the last. What belongs to a step is kept until then, its arrays are not.
"""

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nntrace.recorder import Recorder
from nntrace_keras.jax.keys import VariableKeys
from nntrace_keras.jax.optimizers import JaxOptimizers
from nntrace_keras.jax.samples import Values, elements, sample
from nntrace_keras.jax.second import OBJECTIVE, Looked
from nntrace_keras.program.hand_written import HandWritten
from nntrace_keras.program.settings import inner_optimizer
from nntrace_keras.samples.sites import Sites

Loss = Callable[[], float]


@dataclass(slots=True)
class Gradients:
    """Gradients that no step has used yet.

    Attributes:
        variables: that they are by.
        arrays: the values of these, if they live.
        before: their sampled elements; empty if the step is not sampled.
        losses: that were differentiated, as soon as somebody asks.
        by: who computed them.
        is_gathered: whether an optimizer has added them to others, and made no step.
    """

    variables: Sequence[Any]
    arrays: Sequence[Callable[[], Any]]
    before: Sequence[Values]
    losses: list[Loss]
    examples: int | None
    looked: Looked | None
    by: object
    is_gathered: bool = False

    def is_at(self, arrays: Sequence[Any]) -> bool:
        """Whether they are gradients at these very weights."""
        return all(known() is array for known, array in zip(self.arrays, arrays, strict=True))


class LoopSteps:
    """Records them.

    Attributes:
        samples: whether the next step is to be sampled.
    """

    def __init__(
        self,
        recorder: Recorder,
        sites: Sites,
        keys: VariableKeys,
        optimizers: JaxOptimizers,
        epoch: Callable[[], int | None],
    ) -> None:
        self._recorder = recorder
        self._sites = sites
        self._keys = keys
        self._optimizers = optimizers
        self._epoch = epoch
        self._by_hand = HandWritten()
        self._unused: dict[frozenset[int], Gradients] = {}
        self._calls: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self.samples = True

    def computed(
        self,
        variables: Sequence[Any],
        arrays: Sequence[Any],
        loss: Loss | None,
        looked: Looked | None,
        examples: int | None,
        by: object,
        before: Sequence[Values],
    ) -> None:
        """Gradients have been computed.

        Args:
            variables: that they are by.
            arrays: the values of these.
            loss: that was differentiated; None if only `looked` may know it.
            looked: what was seen of that, if it was sampled.
            examples: how many went in.
            by: who computed them.
            before: the sampled elements of `arrays`, if it was sampled.
        """
        key = frozenset(map(id, variables))
        known = self._unused.get(key)
        if loss is None and looked is not None:
            loss = _of(looked.found.batch[OBJECTIVE][0])
        losses = [] if loss is None else [loss]
        if known is not None and known.by is by:
            if not known.is_gathered and not known.is_at(arrays):
                self._finish(known, self._by_hand, arrays, None)
            else:  # one more micro-batch
                losses = [*known.losses, *losses]
                examples = (known.examples or 0) + (examples or 0) or None
                looked, before = looked or known.looked, before or known.before
        references = [_reference(array) for array in arrays]
        self._unused[key] = Gradients(variables, references, before, losses, examples, looked, by)

    def applied(
        self,
        optimizer: Any,
        variables: Sequence[Any],
        before: Sequence[Values],
        after: Sequence[Any],
        lr: float | None,
    ) -> None:
        """An optimizer has made a step, or gathers gradients for one.

        Args:
            optimizer: whose step it is.
            variables: that it changes.
            before: their sampled elements, if the step is sampled.
            after: their values after the step.
            lr: its learning rate, if it is known.
        """
        gathers = inner_optimizer(optimizer).gradient_accumulation_steps or 1
        calls = self._calls[optimizer] = self._calls.get(optimizer, 0) + 1
        key = frozenset(map(id, variables))
        near = (key, *(one for one in self._unused if one & key))
        found = next((self._unused.pop(one) for one in near if one in self._unused), None)
        if calls % gathers:
            if found is not None:
                found.is_gathered = True
                self._unused[frozenset(map(id, found.variables))] = found
            return
        used = Gradients(variables, (), before, [], None, None, None)
        if found is not None:
            used.losses, used.examples, used.looked = found.losses, found.examples, found.looked
        self._finish(used, optimizer, after, lr)

    def finish(self) -> None:
        """The training is over: what became of the last gradients will not be known."""
        for unused in self._unused.values():
            if unused.by is not None and self._by_hand in self._calls:
                self._finish(unused, self._by_hand, (), None)
        self._unused.clear()

    def _finish(
        self, used: Gradients, optimizer: Any, after: Sequence[Any], lr: float | None
    ) -> None:
        self._recorder.open()
        self._calls.setdefault(optimizer, 0)
        name = self._optimizers.name(optimizer, used.variables, lr)
        sampled = bool(used.before)
        if sampled:
            makers = self._keys.of(used.variables, optimizer, lambda: name)
            number, size, epoch = self._recorder.steps, used.examples, self._epoch()
            keys = list(zip(used.variables, makers, strict=True))
            changed = elements(after)
            self._recorder.add_sample(
                sample(number, self._sites, keys, used.looked, used.before, changed, size, epoch)
            )
        losses = used.losses
        wants = self._recorder.add_step(
            data_wait_ns=None,
            loss=(lambda: sum(loss() for loss in losses) / len(losses)) if losses else None,
            lr=lr,
            grad_norm=None,
            batch_size=used.examples,
            optimizer=name,
            phase="train",
            sampled=sampled,
            gradients_cleared=None,
        )
        self._optimizers.schedules.stepped(name)
        self.samples = wants


def _reference(array: Any) -> Callable[[], Any]:
    """What gives the array back while it lives."""
    try:
        return weakref.ref(array)
    except TypeError:  # no array of JAX, but a number or one of NumPy
        return lambda: array


def _of(values: Values) -> Loss:
    value = float(values[0])
    return lambda: value
