"""The `origin` events of a trace: where non-finite values first appeared, as facts and as evidence.

Payloads come from a trace file: every value is checked before it is believed.
"""

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nntrace.errors import NntraceError
from nntrace.rules.common.payloads import items, place, text, whole
from nntrace.rules.finding import Location
from nntrace.schema import EventKind, Role
from nntrace.text import plural
from nntrace.trace import Event, Site, Trace

_MAX_RANKS = 64

# Operations that break at ordinary arguments. Logarithms are not among them: a probability of zero
# is what logits that grew too large lead to.
_SINGULAR_OPERATIONS = (
    *("div", "reciprocal", "sqrt", "rsqrt", "pow", "acos", "asin", "atanh"),
    *("var", "std", "mean", "nll_loss_forward", "ctc_loss", "masked_fill"),
    *("native_layer_norm", "native_group_norm", "native_batch_norm"),
    *("lgamma", "digamma", "polygamma", "weight_norm_interface"),
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a non-finite value first appeared, as the adapter found it.

    Attributes:
        step: the optimizer step.
        where: `forward`, `loss`, `backward`, `update`, `data`, `weights` or `unknown`.
        seen_in: what was found to be non-finite: `loss`, `gradient`, `output`, the `weights` at the
            end of the program, or an `error` that ended it, if nothing else was.
        facts: the payload.
    """

    step: int
    where: str
    seen_in: str
    facts: Mapping[str, Any]

    def text(self, name: str) -> str:
        """A fact that is a string; empty if it is missing or of another type."""
        return text(self.facts, name)

    def number(self, name: str) -> int | None:
        """A fact that is a whole number from 0 on; None if it is missing or anything else."""
        return whole(self.facts, name)

    @property
    def location(self) -> Location | None:
        """The line of the program, or None."""
        return place(self.facts)

    @property
    def in_evaluation(self) -> bool:
        """Whether it happened in an evaluation, not in training."""
        return self.text("phase") == "eval"

    @property
    def is_overflow(self) -> bool:
        """Whether values had grown beyond what their type can hold."""
        return bool(re.search(r"exceeds|overflows|does not fit", self.text("what")))

    @property
    def is_written(self) -> bool:
        """Whether the program itself wrote to the parameter, between two updates."""
        return self.where == "weights" and self.facts.get("written") is True

    @property
    def is_in_module(self) -> bool:
        """Whether the operation was in a module, named or not."""
        return bool(self.text("module_type")) or bool(self.text("module"))

    @property
    def differentiated(self) -> str:
        """In a backward pass, the operation whose derivative is not finite, as `linalg_eigh`."""
        name = self.text("derivative").rstrip("0123456789").removesuffix("Backward")
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()

    @property
    def is_singular(self) -> bool:
        """Whether an operation has no value at its arguments, however small all numbers are.

        A division by zero, a mean of nothing, a root's slope at zero; but not an overflow.
        """
        if self.is_overflow:
            return False
        if self.where in ("forward", "loss") and "all −inf" in self.text("what"):
            return True  # a softmax over nothing
        return self.where == "backward" or (
            self.where in ("forward", "loss") and self.text("op") in _SINGULAR_OPERATIONS
        )

    @property
    def evidence(self) -> dict[str, Any]:
        """The facts as plain values, for a finding's evidence."""
        found: dict[str, Any] = {
            name: self.facts[name]
            for name in ("op", "kind", "what", "module", "derivative", "given", "parameter")
            if self.text(name)
        }
        numbers = ("execution", "micro_batch", "call")
        found |= {name: n for name in numbers if (n := self.number(name)) is not None and n > 1}
        places = ("time_step", "layer")
        found |= {name: n for name in places if (n := self.number(name)) is not None}
        if (rank := self.number("rank")) is not None:
            found["rank"] = rank
        for name, plain in (("index", int), ("parameters", str), ("notes", str)):
            values = items(self.facts, name)
            if values and all(isinstance(value, plain) for value in values):
                found[name] = values
        if operands := items(self.facts, "operands"):
            found["operands"] = [_operand(o) for o in operands if isinstance(o, dict)]
        return {"where": self.where, "seen_in": self.seen_in, **found}


def origins(trace: Trace) -> tuple[Origin, ...]:
    """All origins in order of steps.

    If this rank found none that it could locate, those of other ranks are added: the value may have
    come from one of them.
    """
    found = [_origin(event) for event in trace.events_of(EventKind.ORIGIN)]
    if found and all(origin.where == "unknown" for origin in found):
        for rank in trace.ranks[:_MAX_RANKS]:
            if rank != trace.rank:
                with contextlib.suppress(NntraceError):  # what it holds is judged elsewhere
                    events = trace.of_rank(rank).events_of(EventKind.ORIGIN)
                    found += [_origin(event, rank) for event in events]
    return tuple(sorted(found, key=lambda origin: origin.step))


def located_origins(trace: Trace) -> list[Origin]:
    """The origins of which it is known where they are."""
    return [origin for origin in origins(trace) if origin.where != "unknown"]


def site_of(trace: Trace, origin: Origin) -> Site | None:
    """The site at which an origin is, or None."""
    if origin.where in ("weights", "update"):
        return trace.site(origin.text("parameter"), Role.PARAM)
    if origin.where == "data":
        return trace.site(origin.text("given"), Role.INPUT)
    return trace.site(origin.text("module"), Role.ACTIVATION) if origin.is_in_module else None


def _origin(event: Event, rank: int | None = None) -> Origin:
    facts = event.payload if rank is None else {**event.payload, "rank": rank}
    return origin_of(facts, event.step)


def origin_of(facts: Mapping[str, Any], recorded_at: int) -> Origin:
    """The origin that a payload describes; `recorded_at` is the step of its event."""
    step = whole(facts, "step")
    return Origin(
        step if step is not None and step <= recorded_at else recorded_at,
        str(facts.get("where", "unknown")),
        str(facts.get("seen_in", "loss")),
        facts,
    )


def _operand(facts: Mapping[str, Any]) -> str:
    """Describe an operand: `other [8, 6] float32, 0 to 1.2, 37 zeros`."""
    if "value" in facts:
        return f"{facts.get('name')} = {facts['value']}"
    parts = [f"{facts.get('name')} {facts.get('shape')} {facts.get('dtype')}"]
    low, high = facts.get("min"), facts.get("max")
    if isinstance(low, (int, float)) and isinstance(high, (int, float)):
        parts.append(f"{low:.4g} to {high:.4g}")
    for name, counted in (
        ("zeros", lambda count: plural(count, "zero")),
        ("nan", "{} NaN".format),
        ("inf", "{} infinite".format),
    ):
        if isinstance(facts.get(name), int) and facts[name]:
            parts.append(counted(facts[name]))
    return ", ".join(parts)
