"""Builds small synthetic traces for the rules' tests; what is not given is healthy.

    trace_of(loss=[2.3, 2.1, 1.9], sites=[site("fc1", "activation", std=[1.0, 0.5, 0.1])])

A statistic or a column is one value for all steps or a sequence with one value per step; None is
a null. A statistic's sequence has one value per *sampled* step.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from nntrace.rules import Finding, Skipped, get_rule
from nntrace.schema import STATISTICS, STREAMS
from nntrace.trace import Trace

_STAT_COLUMNS = ("n", *STATISTICS)
_STEP_COLUMNS = tuple(column.name for column in STREAMS["steps"])

SiteRow = dict[str, Any]


def site(path: str, role: str, **values: Any) -> SiteRow:
    """A site and its statistics: keywords are columns of `sites` or of `stats`."""
    stats = {name: values.pop(name) for name in _STAT_COLUMNS if name in values}
    return {"path": path, "role": role, "dtype": "float32", "stats": stats, **values}


def image(path: str = "input.0", **values: Any) -> SiteRow:
    """A row of inputs with statistics that no rule on inputs objects to."""
    healthy = {"mean": 0.0, "std": 1.0, "min": -2.0, "max": 3.0, "q99": 2.5, "zero_fraction": 0.0}
    columns = {"shape": [32, 64], "numel": 2048}
    return site(path, "input", **{**columns, **healthy, **values})


def gradient(
    path: str,
    rms: Any,
    *,
    n: int = 4096,
    update: float | None = 1e-4,
    shape: tuple[int, ...] = (64, 64),
) -> list[SiteRow]:
    """A parameter's gradient and, unless None, its update."""
    owner = {
        "shape": list(shape),
        "numel": int(np.prod(shape)),
        "parent": path.rpartition(".")[0],
        "module_type": "Linear",
    }
    rows = [site(path, "param_grad", rms=rms, n=n, **owner)]
    return rows if update is None else [*rows, site(path, "update", rms=update, **owner)]


def batch(step: int = 0, **values: Any) -> dict[str, Any]:
    """One row of `data`."""
    return {"step": step, "phase": "train", **values}


def batches(count: int, **values: Any) -> list[dict[str, Any]]:
    """Rows of `data` for steps 0 … count − 1. A list (not a tuple) has one value per step."""
    return [batch(step, **{k: _at(v, step) for k, v in values.items()}) for step in range(count)]


def event(kind: str, /, step: int = 0, **payload: Any) -> dict[str, Any]:
    """One row of `events`."""
    return {"step": step, "time_ns": 0, "kind": kind, "payload": json.dumps(payload)}


def evaluated(
    losses: Iterable[float], every: int = 20, loader: int = 1, **facts: Any
) -> list[dict[str, Any]]:
    """Events of evaluations, one per loss, `every` so many steps."""
    shared = {"model": "", "group": 0, "loader": loader, "examples": 200, **facts}
    return [
        event("evaluation", every * (n + 1), loss=loss, loss_function="mse_loss", **shared)
        for n, loss in enumerate(losses)
    ]


def trace_of(
    *,
    loss: Any = None,
    steps: int | None = None,
    sampled: Sequence[int] | None = None,
    sites: Iterable[SiteRow] = (),
    batches: Iterable[Mapping[str, Any]] = (),
    losses: Iterable[Mapping[str, Any]] = (),
    events: Iterable[Mapping[str, Any]] = (),
    histograms: Iterable[Mapping[str, Any]] = (),
    tensors: Iterable[Mapping[str, Any]] = (),
    rank: int = 0,
    **columns: Any,
) -> Trace:
    """A trace of one rank with steps 0, 1, 2, …; ids follow the order of `sites`.

    Args:
        loss: the loss of each step; its length is the number of steps unless `steps` is given.
        steps: the number of steps, by default as many as the longest sequence given.
        sampled: the sampled steps, by default all.
        sites: made by `site`.
        batches: made by `batch` or `batches`.
        losses: batches as further loss functions received them, made by `batch` or `batches`.
        events: made by `event`.
        histograms: rows with `step`, `site` (its id), `edges` and `counts`.
        tensors: complete rows of `tensors`.
        rank: for `Trace.from_ranks`.
        columns: further columns of `steps`, such as `lr`, `grad_norm` or `phase`.
    """
    sites = list(sites)
    given = {"lr": 0.1, "batch_size": 32, "phase": "train", "optimizer": "SGD", **columns}
    given["loss"] = loss
    unknown = set(given) - set(_STEP_COLUMNS)
    assert not unknown, f"no such columns of steps: {unknown}"
    count = steps if steps is not None else _longest([given], sites)
    chosen = list(range(count)) if sampled is None else list(sampled)
    is_sampled = set(chosen)
    step_rows = [
        {
            "step": step,
            "time_ns": step * 1_000_000,
            "duration_ns": 1_000_000,
            "sampled": step in is_sampled,
            **{name: _at(value, step) for name, value in given.items()},
        }
        for step in range(count)
    ]
    site_rows = [
        {"id": number, **{name: value for name, value in row.items() if name != "stats"}}
        for number, row in enumerate(sites)
    ]
    stat_rows = [
        {"step": step, "site": number, "n": 4096}
        | {name: _at(value, index) for name, value in row["stats"].items()}
        for index, step in enumerate(chosen)
        for number, row in enumerate(sites)
        if row["stats"]
    ]
    return Trace.from_rows(
        sites=site_rows,
        steps=step_rows,
        stats=stat_rows,
        data=batches,
        losses=losses,
        events=events,
        histograms=histograms,
        tensors=tensors,
        rank=rank,
    )


def summed(names: Iterable[str], values: Any, count: int = 20, **columns: Any) -> Trace:
    """A run whose objective has these terms; values are tuples, or lists of them by step."""
    rows = batches(count, term_names=tuple(names), **columns)
    for step, row in enumerate(rows):
        row["term_values"] = values[step] if isinstance(values, list) else values
    return trace_of(steps=count, batches=rows)


def run_rule(code: str, trace: Trace, **thresholds: Any) -> list[Finding | Skipped]:
    """All results of one rule; exceptions surface."""
    return list(get_rule(code).run(trace, thresholds))


def findings(code: str, trace: Trace, **thresholds: Any) -> list[Finding]:
    """The findings of one rule; fails if the rule was skipped, which must not pass for health."""
    results = run_rule(code, trace, **thresholds)
    skipped = [result.reason for result in results if isinstance(result, Skipped)]
    assert not skipped, f"{code} was skipped: {skipped}"
    return [result for result in results if isinstance(result, Finding)]


def skip_reasons(code: str, trace: Trace, **thresholds: Any) -> list[str]:
    """Why one rule could not judge; empty when it could."""
    results = run_rule(code, trace, **thresholds)
    return [result.reason for result in results if isinstance(result, Skipped)]


def _at(value: Any, index: int) -> Any:
    if _is_series(value):
        item = value[index] if index < len(value) else value[-1] if len(value) else None
        return item.item() if hasattr(item, "item") else item
    return value


def _is_series(value: Any) -> bool:
    return isinstance(value, list) or (isinstance(value, np.ndarray) and value.ndim > 0)


def _longest(columns: Iterable[Mapping[str, Any]], sites: Iterable[SiteRow]) -> int:
    series = [value for mapping in columns for value in mapping.values()]
    series += [value for row in sites for value in row["stats"].values()]
    return max((len(value) for value in series if _is_series(value)), default=1)
