"""Finds the settings that differ between two runs: command, learning rate, batch size, seeds, …"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nntrace.trace import Trace

_LARGE_SCALE = 1.5  # batch sizes within this factor need no change of the learning rate
_PARTS = ("class", "lr", "weight_decay", "momentum", "parameters")
_LOADER = ("dataset_size", "batch_size", "shuffle", "workers")
_LOSS = ("function", "reduction", "classes", "weighted", "label_smoothing")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting that differs; `hint` says what should usually change with it."""

    name: str
    a: str
    b: str
    hint: str = ""


def settings(a: Trace, b: Trace) -> tuple[Setting, ...]:
    """The settings that differ, those that matter most for training first."""
    ours, theirs = dict(_described(a)), dict(_described(b))
    names = list(dict.fromkeys((*ours, *theirs)))
    return tuple(
        Setting(name, ours.get(name, "–"), theirs.get(name, "–"), _hint(name, ours, theirs))
        for name in names
        if ours.get(name) != theirs.get(name)
    )


def _described(trace: Trace) -> Iterator[tuple[str, str]]:
    for number, event in enumerate(trace.events_of("optimizer")):
        which = "optimizer" if number == 0 else f"optimizer {number + 1}"
        yield from _values(which, event.payload, _PARTS)
    yield "batch size", _batch_size(trace)
    for number, event in enumerate(trace.events_of("loader")[:4]):
        which = "loader" if number == 0 else f"loader {number + 1}"
        yield from _values(which, event.payload, _LOADER)
    for number, event in enumerate(trace.events_of("loss_call")[:4]):
        which = "loss" if number == 0 else f"loss {number + 1}"
        yield from _values(which, event.payload, _LOSS)
    seeds = [str(event.payload.get("seed")) for event in trace.events_of("seed")]
    yield "seeds", ", ".join(dict.fromkeys(seeds)) or "none"
    manifest = trace.manifest
    yield "command", " ".join(manifest.command)
    yield "git commit", manifest.git_commit or "none"
    for name, version in manifest.versions.items():
        yield f"version of {name}", version
    types = {site.dtype for site in trace.sites_of("param")}
    yield "parameter dtypes", ", ".join(sorted(types))


def _values(
    which: str, payload: Mapping[str, Any], keys: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    for key in keys:
        if key in payload:
            value = payload[key]
            # A framework may store a rate as float32: 0.1 comes back as 0.10000000149.
            shown = f"{value:.6g}" if isinstance(value, float) else str(value)
            yield f"{which} {key.replace('_', ' ')}", shown


def _batch_size(trace: Trace) -> str:
    sizes = trace.steps.batch_size
    known = sizes[sizes == sizes]
    return "unknown" if not len(known) else str(int(max(known)))


def _hint(name: str, a: Mapping[str, str], b: Mapping[str, str]) -> str:
    if name != "batch size":
        return ""
    sizes, rates = (a.get(name), b.get(name)), (a.get("optimizer lr"), b.get("optimizer lr"))
    try:
        size_a, size_b = (float(value) for value in sizes if value is not None)
        rate_a, rate_b = (float(value) for value in rates if value is not None)
    except ValueError:
        return ""
    scale = size_b / size_a if size_a else 1.0
    if 1 / _LARGE_SCALE < scale < _LARGE_SCALE or not rate_a:
        return ""
    return (
        f"linear scaling: a batch {scale:.3g} times as large goes with a learning rate of "
        f"{rate_a * scale:.3g} for SGD; B has {rate_b:.3g}"
    )
