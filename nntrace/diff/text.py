"""The text and JSON forms of a comparison."""

import math
from collections.abc import Iterator
from typing import Any, Final

from rich.text import Text

from nntrace.diagnosis.text import Line
from nntrace.diff.compare import Comparison, Divergence
from nntrace.text import plural, printable
from nntrace.text.json import json_text
from nntrace.trace import Site, Trace

JSON_SCHEMA: Final = 1
_TRAIL_SHOWN: Final = 8
_SETTINGS_SHOWN: Final = 30
_PATHS_SHOWN: Final = 6
_PAIRS_SHOWN: Final = 4


def render_text(comparison: Comparison) -> Iterator[Line]:
    """The lines of the text form: settings, then the first divergence, then those after it."""
    yield Line(Text.assemble(("A ", "bold"), printable(comparison.a.manifest.name)))
    yield Line(Text.assemble(("B ", "bold"), printable(comparison.b.manifest.name)))
    if comparison.settings:
        yield Line()
        yield Line(Text("settings that differ", "bold"))
    for setting in comparison.settings[:_SETTINGS_SHOWN]:
        values = f"{printable(setting.a, 120)} → {printable(setting.b, 120)}"
        yield Line(Text.assemble((f"{printable(setting.name)}: ", "dim"), values), 2)
        if setting.hint:
            yield Line(Text(printable(setting.hint)), 4, Text("→ ", "green"))
    yield from _model(comparison)
    yield Line()
    first = comparison.first
    if first is None:
        yield Line(Text.assemble(("no divergence", "bold green"), f": {_scope(comparison)}"))
        return
    yield Line(Text.assemble(("first divergence", "bold red"), f": {sentence(first)}"))
    yield Line(Text(_scope(comparison), "dim"), 4)
    rest = list(_trail(comparison))
    if rest:
        yield Line(Text("then", "bold"))
    for divergence in rest:
        yield Line(Text(sentence(divergence)), 2)
    yield from _ends(comparison)


def as_json(comparison: Comparison) -> str:
    """The comparison as JSON, for machines: format 1."""
    first = comparison.first
    content = {
        "schema": JSON_SCHEMA,
        "a": _run(comparison.a),
        "b": _run(comparison.b),
        "settings": [
            {"name": s.name, "a": s.a, "b": s.b, "hint": s.hint or None}
            for s in comparison.settings
        ],
        "only_a": [_site(site) for site in comparison.alignment.only_a],
        "only_b": [_site(site) for site in comparison.alignment.only_b],
        "aligned_sites": len(comparison.alignment.pairs),
        "common_sampled_steps": comparison.common_steps,
        "noise_runs": comparison.noise_runs,
        "first_divergence": None if first is None else _divergence(first),
        "divergences": [_divergence(divergence) for divergence in comparison.divergences],
    }
    return json_text(content)


def sentence(divergence: Divergence) -> str:
    """One divergence in words."""
    where = f"step {divergence.step}, "
    if divergence.place == "batch" and not divergence.role:
        return where + "the batches hold different examples"
    if not divergence.role:
        values = f"{divergence.a:.6g} → {divergence.b:.6g}"
        return f"{where}loss {values} ({_size(divergence)})"
    name = printable(divergence.place, 80) or "(root)"
    if divergence.other_place:
        name += f" (B: {printable(divergence.other_place, 80)})"
    statistic = divergence.statistic.replace("_", " ")
    values = f"{_number(divergence.a)} → {_number(divergence.b)}"
    return f"{where}{name} {divergence.role}: {statistic} {values} ({_size(divergence)})"


def _size(divergence: Divergence) -> str:
    if math.isinf(divergence.difference):
        return f"only in {'B' if math.isnan(divergence.a) else 'A'}"
    return f"relative difference {divergence.difference:.2g}, allowed {divergence.allowed:.2g}"


def _number(value: float) -> str:
    return "none" if math.isnan(value) else f"{value:.6g}"


def _model(comparison: Comparison) -> Iterator[Line]:
    for name, sites in (("A", comparison.alignment.only_a), ("B", comparison.alignment.only_b)):
        if sites:
            paths = list(dict.fromkeys(printable(site.path, 60) or "(root)" for site in sites))
            shown = ", ".join(paths[:_PATHS_SHOWN]) + (", …" if len(paths) > _PATHS_SHOWN else "")
            yield Line(Text.assemble((f"only in {name}: ", "dim"), shown), 2)
    guessed = [pair for pair in comparison.alignment.pairs if not pair.by_path]
    if guessed:
        pairs = [f"{printable(p.a.path, 40)} ↔ {printable(p.b.path, 40)}" for p in guessed]
        names = list(dict.fromkeys(pairs))
        more = ", …" if len(names) > _PAIRS_SHOWN else ""
        shown = ", ".join(names[:_PAIRS_SHOWN])
        note = f"{len(guessed)} sites are matched by order and shape: {shown}{more}"
        yield Line(Text(note, "dim"), 2)


def _trail(comparison: Comparison) -> Iterator[Divergence]:
    """The places that diverge after the first one, each once, at its first step."""
    first = comparison.first
    seen = {(first.place, first.role)} if first is not None else set()
    shown = 0
    for divergence in comparison.divergences[1:]:
        key = (divergence.place, divergence.role)
        if key not in seen and shown < _TRAIL_SHOWN:
            seen.add(key)
            shown += 1
            yield divergence


def _ends(comparison: Comparison) -> Iterator[Line]:
    runs = (comparison.a, comparison.b)
    if all(len(trace.steps) for trace in runs):
        losses = [trace.last_loss for trace in runs]
        last = " → ".join("none" if loss is None else f"{loss:.6g}" for loss in losses)
        counts = " and ".join(str(len(trace.steps)) for trace in runs)
        yield Line(Text(f"last loss {last}, after {counts} steps", "dim"))


def _scope(comparison: Comparison) -> str:
    pairs, steps = len(comparison.alignment.pairs), comparison.common_steps
    noise = f", noise of {plural(comparison.noise_runs, 'run')}" if comparison.noise_runs else ""
    sites, at = plural(pairs, "site"), plural(steps, "step")
    scope = f"{sites} compared at {at} sampled in both{noise}"
    return scope if steps else f"{scope}; record both with --every 1 to compare them step by step"


def _run(trace: Trace) -> dict[str, Any]:
    return {
        "name": trace.manifest.name,
        "path": None if trace.path is None else str(trace.path),
        "steps": len(trace.steps),
    }


def _site(site: Site) -> dict[str, Any]:
    return {"path": site.path, "role": site.role.value, "shape": site.shape}


def _divergence(divergence: Divergence) -> dict[str, Any]:
    return {
        "step": divergence.step,
        "place": divergence.place,
        "role": divergence.role or None,
        "other_place": divergence.other_place or None,
        "statistic": divergence.statistic,
        "a": divergence.a,
        "b": divergence.b,
        "difference": divergence.difference,
        "allowed": divergence.allowed,
    }
