"""Describes the origin of a non-finite value in a sentence."""

import numpy as np

from nntrace.rules.common.payloads import items
from nntrace.rules.numerics.origins import Origin, site_of
from nntrace.trace import Trace

_GROWING = 10.0  # times: from here on a module's output counts as growing before it broke
_SAMPLES = 6  # over which its growth is measured


def sentence(trace: Trace | None, origin: Origin) -> str:
    """What happened, where, and in which of several executions; given a trace, how values grew."""
    what, op = origin.text("what"), origin.text("op")
    kind = {"nan": "NaN", "inf": "infinite value"}.get(origin.text("kind"), "non-finite value")
    given, parameter = origin.text("given"), origin.text("parameter")
    parts = {
        "data": f"`{given}` comes in with non-finite values ({what})",
        "weights": f"`{parameter}` is not finite {_since(origin)}: {what}",
        "update": f"the update by {op} made `{parameter}` non-finite: {what}",
        "backward": f"the loss is finite, but the derivative {_node(origin)}is not: {what}"
        if origin.text("op")
        else "the loss is finite, but a gradient that was not looked at was not: of "
        f"`{parameter}` {what}",
        "unknown": "the loss is not finite",
    }
    told = parts.get(origin.where, f"`{op}`{_module(origin)} gives the first {kind}: {what}")
    if origin.where == "data" and (index := items(origin.facts, "index")):
        told += f", first in example {index[0]}"
    growth = "" if trace is None else _growth(trace, origin)
    return f"step {origin.step}: {told}{_which(origin)}{growth}"


def _since(origin: Origin) -> str:
    return "though no update made it so" if origin.is_written else "before any update"


def _module(origin: Origin) -> str:
    if not origin.is_in_module:
        part = f"`{origin.text('part')}` of the loss" if origin.text("part") else "the loss"
        return f" in {part}" if origin.where == "loss" else ""
    whole = "the loss" if origin.where == "loss" else "the model"
    name = f"`{origin.text('module')}`" if origin.text("module") else whole
    return f" in {name} ({origin.text('module_type')})"


def _node(origin: Origin) -> str:
    place = _module(origin)
    if origin.differentiated:
        return f"of `{origin.differentiated}`{place} "
    return f"{place.strip()} " if place else ""


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
    """A clause on the module's output if it was growing in the samples before; else empty."""
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
