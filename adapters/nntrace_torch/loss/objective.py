"""Reads what a sampled step differentiates: the objective's terms, and how much is clamped."""

from collections.abc import Iterable

import torch

from nntrace.adapter.objective import objective_payload
from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.loss import graph
from nntrace_torch.loss.numbers import NumberWatch
from nntrace_torch.program.containers import tensors_in
from nntrace_torch.program.sources import caller
from nntrace_torch.replay.call import Call
from nntrace_torch.samples.step import StepSample

_MOST_TERMS = 32
_MOST_KINDS = 16  # of objectives: by their terms and the number of single-example model calls


class ObjectiveReader:
    """Reads the graph of the first loss that is differentiated in a sampled step."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._announced: set[tuple[tuple[str, ...], int]] = set()
        self._numbers = NumberWatch(recorder)
        self._singles = 0  # calls of the step with one example each

    def look(
        self, loss: torch.Tensor, sample: StepSample, calls: Iterable[Call], *, is_scaled: bool
    ) -> None:
        """Record the values of the loss's terms, and once per kind of objective its composition.

        Args:
            loss: the tensor on which `backward` is about to be called.
            sample: the step; the loss functions called in it so far are taken from it.
            calls: the calls of models in the step.
            is_scaled: whether a loss scaler has multiplied the loss, and so the terms' values,
                which are then not recorded.
        """
        functions = sample.take_loss_calls()
        self._singles = sum(map(_has_one_example, calls))
        if loss.grad_fn is None:  # made of numbers: nothing can learn from it
            self._announce((), [], is_clamped=False)
            return
        with torch.no_grad():
            found = graph.terms(loss, functions)
            if not found or len(found) > _MOST_TERMS:
                return
            names = _names(found)
            shares = [s for term in found if (s := graph.clamped_share(term)) is not None]
            if shares:
                sample.batch.add("clamped", torch.stack(shares).max())
            self._announce(names, found, is_clamped=bool(shares))
            if len(found) > 1 and not is_scaled:
                self._values(loss, names, found, sample)
            if not is_scaled:
                self._numbers.look(loss, found, functions)

    def _announce(
        self, names: tuple[str, ...], found: list[graph.Term], *, is_clamped: bool
    ) -> None:
        kind = (names, self._singles)
        if kind in self._announced or len(self._announced) >= _MOST_KINDS:
            return
        self._announced.add(kind)
        payload = objective_payload(
            [(name, term.weight) for name, term in zip(names, found, strict=True)],
            caller(),
            is_clamped=is_clamped,
            broadcast=next((s for t in found if (s := graph.broadcast(t)) is not None), None),
        )
        self._recorder.add_event(EventKind.OBJECTIVE, {**payload, "single_calls": self._singles})

    def _values(
        self,
        loss: torch.Tensor,
        names: tuple[str, ...],
        found: list[graph.Term],
        sample: StepSample,
    ) -> None:
        """Add what each term contributes to the sample; one unknown term is the remainder."""
        total = loss.detach().reshape(())
        values = [graph.value(term) for term in found]
        sums: dict[str, torch.Tensor | None] = {}
        for name, term, known in zip(names, found, values, strict=True):
            part = None if known is None else known.detach().reshape(()) * term.weight
            before = sums.get(name, torch.zeros_like(total))
            sums[name] = None if part is None or before is None else before + part
        unknown = [name for name, part in sums.items() if part is None]
        if len(unknown) > 1:
            return
        parts = [part for part in sums.values() if part is not None]
        rest = total - torch.stack(parts).sum() if parts else total
        sample.batch.describe(term_names=tuple(sums))
        everything = [rest if part is None else part for part in sums.values()]
        sample.batch.add("terms", torch.stack([part.to(total) for part in everything]))


def _has_one_example(call: Call) -> bool:
    """Whether a model was called with a single example, or one without an axis of examples."""
    first = next(iter(tensors_in(call.args)), None) if call.gradients_enabled else None
    return first is not None and (first.dim() < 2 or first.shape[0] == 1)


def _names(found: list[graph.Term]) -> tuple[str, ...]:
    """The terms' names, with a number from the second call of one loss function on (`mse#2`)."""
    counts: dict[str, int] = {}
    names = []
    for term in found:
        is_call = term.value is not None
        counts[term.name] = counts.get(term.name, 0) + 1
        number = counts[term.name]
        names.append(f"{term.name}#{number}" if is_call and number > 1 else term.name)
    return tuple(names)
