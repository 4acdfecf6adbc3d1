"""The `origin` events of a trace: where non-finite values were born, in words and as evidence.

Payloads come from a trace file: every value is checked before it is believed.
"""

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nntrace.errors import NntraceError
from nntrace.rules.finding import Location
from nntrace.schema import EventKind, Role
from nntrace.trace import Event, Site, Trace

_GROWING = 10.0
_SAMPLES = 6
_MAX_RANKS = 64

ADVICE: Mapping[str, str] = {
    "div": "Add an epsilon to the divisor, or divide only where it is not zero.",
    "reciprocal": "Add an epsilon to the divisor, or divide only where it is not zero.",
    "log": "Compute the logarithm in one function with what comes before it (`log_softmax`, "
    "`logsigmoid`, the loss on logits), or clamp its argument from below.",
    **dict.fromkeys(("log1p", "special_xlog1py"), "Clamp the argument above −1."),
    "xlogy": "Keep what is given to a distribution's `log_prob` inside its support: clamp it away "
    "from the ends.",
    "logit": "Clamp probabilities to [eps, 1 − eps] first, or pass `eps=`.",
    **dict.fromkeys(
        ("lgamma", "digamma", "polygamma"),
        "Keep the argument above 0: `softplus(x) + eps` for a concentration or a rate.",
    ),
    "weight_norm_interface": "A weight that is normalised needs a direction: initialise it away "
    "from 0.",
    "acosh": "Clamp the argument above 1.",
    "sqrt": "Add the epsilon inside the root, `sqrt(x + eps)`, or clamp its argument at 0.",
    "rsqrt": "Add the epsilon inside the root: `rsqrt(x + eps)`.",
    "pow": "Clamp the base away from 0 before a negative or fractional power.",
    "exp": "Subtract the largest exponent first (`logsumexp`, `softmax`), or clamp the argument.",
    "softmax": "A row whose every entry is masked has no softmax: leave each row one entry, or "
    "set such rows to zero with `where` on the mask afterwards.",
    "acos": "Clamp the argument within ±(1 − 1e-6).",
    "asin": "Clamp the argument within ±(1 − 1e-6).",
    "atanh": "Clamp the argument within ±(1 − 1e-6).",
    "var": "A variance needs two elements: pass `correction=0`, or leave such batches out.",
    "std": "A deviation needs two elements: pass `correction=0`, or leave such batches out.",
    "mean": "Leave out batches in which nothing is left to average, or divide by `max(count, 1)`.",
    "nll_loss_forward": "Leave out batches whose every target is ignored, or reduce with `sum` "
    "and divide by `max(count, 1)`.",
    "mul": "Use `where` or `masked_fill` for masks: 0 · inf is NaN. Where the product itself "
    "overflows, lower the learning rate or clip gradients.",
    "ctc_loss": "Leave such examples out, give them more time steps, or pass `zero_infinity=True`.",
    "masked_fill": "What is masked must not be chosen afterwards: look at the actions, targets or "
    "indices that reach it, or mask with a large negative number.",
    **dict.fromkeys(
        ("native_layer_norm", "native_group_norm", "native_batch_norm"),
        "Give the normalisation an eps above 0; a running variance that is not positive was "
        "loaded or written wrongly.",
    ),
    "to_copy": "Keep this value in float32 or bfloat16, or scale it down before the cast.",
}
# These break at ordinary arguments. Logarithms are none of them: a probability that has become
# zero is what logits that grew too large leave.
_SINGULAR_OPERATIONS = (
    *("div", "reciprocal", "sqrt", "rsqrt", "pow", "acos", "asin", "atanh"),
    *("var", "std", "mean", "nll_loss_forward", "ctc_loss", "masked_fill"),
    *("native_layer_norm", "native_group_norm", "native_batch_norm"),
    *("lgamma", "digamma", "polygamma", "weight_norm_interface"),
)
_OVERFLOWS = (
    "Values have grown too large: lower the learning rate, clip gradients, normalise the input "
    "and the activations before this."
)
_HALF = (
    "float16 ends at 65504: keep this value in float32 or bfloat16, or scale it down before. Where "
    "it has grown in training, lower the learning rate or clip gradients."
)
_SINGULAR = (
    "The value is finite there, its derivative is not: add the epsilon inside. `where` does not "
    "help, for the branch not taken is differentiated too: give that branch a harmless argument."
)
# Of functions whose derivative does not exist where values coincide, by the function.
_COINCIDENCE = (
    "The derivative of its vectors does not exist where two values are equal or zero: add a small "
    "multiple of the identity, use the values only, or detach the vectors."
)
DERIVATIVES: Mapping[str, str] = {
    **dict.fromkeys(("linalg_eigh", "linalg_eig", "linalg_svd", "svd"), _COINCIDENCE),
    "logsumexp": "The sum over entries that are all −∞ has no derivative: forbid with a large "
    "negative number (−1e4) instead of −∞, or replace such rows before the sum.",
    "cdist": "Its derivative does not exist at distance 0: add the epsilon inside the root.",
}
_DATA = "Check the data for missing values, and its scaling for a division by a zero deviation."
_WEIGHTS = "Check the checkpoint, and how the parameter is initialised."
_WRITTEN = (
    "Look for what writes to it outside of the optimizer: `.data`, `copy_` under `no_grad`, an "
    "average of weights, a projection or a clamp, a state that is loaded."
)
_SCHEDULE = (
    "Look at what sets the learning rate: a schedule that divides by a warm-up, or by a number of "
    "steps, that is 0."
)
_UPDATE = "Set the optimizer's epsilon above 0, lower the learning rate, and clip gradients."


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a non-finite value first appeared, as the adapter found it.

    Attributes:
        step: the optimizer step.
        where: `forward`, `loss`, `backward`, `update`, `data`, `weights` or `unknown`.
        seen_in: what was found to be non-finite: `loss`, `gradient`, `output`, the `weights` at the
            end of the program, or nothing but an `error` that ended it.
        facts: the payload.
    """

    step: int
    where: str
    seen_in: str
    facts: Mapping[str, Any]

    def text(self, name: str) -> str:
        """A fact that is text, or nothing."""
        value = self.facts.get(name)
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> int | None:
        """A fact that is a whole number."""
        value = self.facts.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    @property
    def location(self) -> Location | None:
        """The line of the program."""
        line = self.number("line")
        if not self.text("file") or line is None or line < 1:
            return None
        return Location(self.text("file"), line, self.text("source") or None)

    @property
    def in_evaluation(self) -> bool:
        """Whether the training had no part in it."""
        return self.text("phase") == "eval"

    @property
    def is_overflow(self) -> bool:
        """Whether values had grown beyond what their type can hold."""
        return bool(re.search(r"exceeds|overflows|does not fit", self.text("what")))

    @property
    def is_written(self) -> bool:
        """Whether the program itself has written to a parameter, between two updates."""
        return self.where == "weights" and self.facts.get("written") is True

    @property
    def advice(self) -> str:
        """What to do about that operation."""
        if self.is_written:
            return _WRITTEN
        if self.where == "update" and re.match(r"lr (is|was) ", self.text("what")):
            return _SCHEDULE
        if self.where in ("data", "weights", "update"):
            return {"data": _DATA, "weights": _WEIGHTS, "update": _UPDATE}[self.where]
        if self.where == "backward":
            of = differentiated(self.text("derivative"))
            return _OVERFLOWS if self.is_overflow else DERIVATIVES.get(of, _SINGULAR)
        if "exceeds" in self.text("what"):
            return _HALF if "exceeds float16" in self.text("what") else _OVERFLOWS
        if self.text("op").startswith("scaled_dot_product"):
            return ADVICE["softmax"]
        return ADVICE.get(self.text("op"), "" if self.where == "unknown" else _OVERFLOWS)

    @property
    def is_singular(self) -> bool:
        """Whether an operation was asked for what it has no value for, however small all numbers
        are: a division by zero, a mean of nothing, a root's slope at zero. Not one that overflows.
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
        """The facts as plain values."""
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
            values = self.facts.get(name)
            if isinstance(values, list) and values and all(isinstance(v, plain) for v in values):
                found[name] = values
        operands = self.facts.get("operands")
        if isinstance(operands, list) and operands:
            found["operands"] = [_operand(o) for o in operands if isinstance(o, dict)]
        cost = self.facts.get("replay_ms")
        if isinstance(cost, (int, float)):
            found["replay_ms"] = cost
        return {"where": self.where, "seen_in": self.seen_in, **found}


def origins(trace: Trace) -> tuple[Origin, ...]:
    """All origins in order of steps.

    Where this rank could not tell, the value may have come from another rank, which can.
    """
    found = [_origin(event) for event in trace.events_of(EventKind.ORIGIN)]
    if found and all(origin.where == "unknown" for origin in found):
        for rank in trace.ranks[:_MAX_RANKS]:
            if rank != trace.rank:
                with contextlib.suppress(NntraceError):  # what it holds is judged elsewhere
                    events = trace.of_rank(rank).events_of(EventKind.ORIGIN)
                    found += [_origin(event, rank) for event in events]
    return tuple(sorted(found, key=lambda origin: origin.step))


def site_of(trace: Trace, origin: Origin) -> Site | None:
    """The site of an origin, if it is at one."""
    if origin.where in ("weights", "update"):
        return trace.site(origin.text("parameter"), Role.PARAM)
    if origin.where == "data":
        return trace.site(origin.text("given"), Role.INPUT)
    return trace.site(origin.text("module"), Role.ACTIVATION) if _in_module(origin) else None


def sentence(trace: Trace | None, origin: Origin) -> str:
    """What happened, where, and in which of several executions; of a trace, how it had grown."""
    what, op = origin.text("what"), origin.text("op")
    kind = {"nan": "NaN", "inf": "infinite value"}.get(origin.text("kind"), "non-finite value")
    given, parameter = origin.text("given"), origin.text("parameter")
    parts = {
        "data": f"`{given}` comes in with non-finite values ({what})",
        "weights": f"`{parameter}` is not finite {_since(origin)}: {what}",
        "update": f"the update by {op} made `{parameter}` non-finite: {what}",
        "backward": f"the loss is finite, the derivative {_node(origin)}is not: {what}"
        if origin.text("op")
        else f"the loss is finite, a gradient that nobody saw was not: of `{parameter}` {what}",
        "unknown": "the loss is not finite",
    }
    told = parts.get(origin.where, f"`{op}`{_module(origin)} gives the first {kind}: {what}")
    if origin.where == "data" and (index := origin.facts.get("index")):
        told += f", first in example {index[0]}" if isinstance(index, list) else ""
    growth = "" if trace is None else _growth(trace, origin)
    return f"step {origin.step}: {told}{_which(origin)}{growth}"


def _origin(event: Event, rank: int | None = None) -> Origin:
    facts = event.payload if rank is None else {**event.payload, "rank": rank}
    return origin_of(facts, event.step)


def origin_of(facts: Mapping[str, Any], recorded_at: int) -> Origin:
    """The origin that a payload describes, which was recorded at a step."""
    step = facts.get("step")
    known = isinstance(step, int) and not isinstance(step, bool) and 0 <= step <= recorded_at
    return Origin(
        int(step) if known and step is not None else recorded_at,
        str(facts.get("where", "unknown")),
        str(facts.get("seen_in", "loss")),
        facts,
    )


def _since(origin: Origin) -> str:
    return "though no update made it so" if origin.is_written else "before any update"


def _in_module(origin: Origin) -> bool:
    return bool(origin.text("module_type")) or bool(origin.text("module"))


def _module(origin: Origin) -> str:
    if not _in_module(origin):
        part = f"`{origin.text('part')}` of the loss" if origin.text("part") else "the loss"
        return f" in {part}" if origin.where == "loss" else ""
    whole = "the loss" if origin.where == "loss" else "the model"
    name = f"`{origin.text('module')}`" if origin.text("module") else whole
    return f" in {name} ({origin.text('module_type')})"


def _node(origin: Origin) -> str:
    name = differentiated(origin.text("derivative"))
    place = f"of `{name}`{_module(origin)}" if name else _module(origin).strip()
    return f"{place} " if place else ""


def differentiated(node: str) -> str:
    """The operation whose derivative a node of the autograd graph is: `linalg_eigh`."""
    name = node.rstrip("0123456789").removesuffix("Backward")
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _which(origin: Origin) -> str:
    parts = []
    if moment := origin.number("time_step"):
        layer = origin.number("layer")
        backwards = ", read backwards" if origin.facts.get("backwards") is True else ""
        parts.append(
            f"at time step {moment}{backwards}" + (f", in layer {layer} of it" if layer else "")
        )
    for name, words in (
        ("execution", "in execution {} of that line"),
        ("micro_batch", "in micro-batch {}"),
    ):
        number = origin.number(name)
        if number is not None and number > 1:
            parts.append(words.format(number))
    if ago := origin.number("steps_ago"):
        parts.append(f"seen {ago} steps later, when weights had moved")
    if (rank := origin.number("rank")) is not None:
        parts.append(f"on rank {rank}")
    if origin.facts.get("phase") == "eval":
        parts.append("in an evaluation")
    return "".join(f", {part}" for part in parts)


def _growth(trace: Trace, origin: Origin) -> str:
    """Whether the module's output was growing in the samples before."""
    site = site_of(trace, origin)
    if site is None or origin.where != "forward":
        return ""
    before = trace.sampled_steps < origin.step
    sizes = np.fmax(
        np.abs(trace.series(site.role, "min", site)), np.abs(trace.series(site.role, "max", site))
    )[before]
    sizes = sizes[np.isfinite(sizes)][-_SAMPLES:]
    if len(sizes) < 2 or sizes[-1] < _GROWING * sizes[0] or sizes[0] <= 0:
        return ""
    return f"; its output had grown from {sizes[0]:.3g} to {sizes[-1]:.3g}"


def _operand(facts: Mapping[str, Any]) -> str:
    """`other [8, 6] float32, 0 to 1.2, 37 zeros`."""
    if "value" in facts:
        return f"{facts.get('name')} = {facts['value']}"
    parts = [f"{facts.get('name')} {facts.get('shape')} {facts.get('dtype')}"]
    low, high = facts.get("min"), facts.get("max")
    if isinstance(low, (int, float)) and isinstance(high, (int, float)):
        parts.append(f"{low:.4g} to {high:.4g}")
    for name, noun in (("zeros", "zeros"), ("nan", "NaN"), ("inf", "infinite")):
        if isinstance(facts.get(name), int) and facts[name]:
            parts.append(f"{facts[name]} {noun}")
    return ", ".join(parts)
