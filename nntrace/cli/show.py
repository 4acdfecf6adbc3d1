"""`nntrace show`: shows what a run holds, without judging it."""

from typing import TYPE_CHECKING, Any

import click

from nntrace.cli.options import complete_run, format_option
from nntrace.cli.output import console, note, write_text

if TYPE_CHECKING:
    from nntrace.trace import Trace

_STATISTICS = ("mean", "std", "min", "max", "zero_fraction", "nonfinite_fraction")


@click.command(name="show")
@click.argument("run", required=False, shell_complete=complete_run)
@format_option("text", "json")
def command(run: str | None, form: str) -> None:
    """Show what a run holds, without judging it.

    It prints the manifest, ranks, steps and events, and the last statistics of each site.

    RUN is a path, the name of a run in ./nntrace-runs, or `latest`, the default.

    \b
    Examples:
      nntrace show
      nntrace show runs/try7 --format json
    """
    from nntrace.runs.find import find_run
    from nntrace.schema import RunStatus
    from nntrace.text.json import json_text
    from nntrace.trace import Trace

    trace = Trace.open(find_run(run))
    if trace.torn_streams and trace.status is not RunStatus.RUNNING:
        note(f"{trace.path}: the last record of {', '.join(trace.torn_streams)} is cut off.")
    content = describe(trace)
    if form == "json":
        write_text(json_text(content))
    else:
        from rich.text import Text

        from nntrace.cli.show_text import lines, sites_table

        with console() as screen:
            for line in lines(content):
                screen.print(line, soft_wrap=True)
            if content["sites"]:
                heading, *rows = sites_table(content["sites"], screen.width)
                screen.print(Text(f"\n{heading}", "dim"), soft_wrap=True)
                screen.out("\n".join(rows), highlight=False)


def describe(trace: "Trace") -> dict[str, Any]:
    """Describe what the trace holds, as plain values."""
    from collections import Counter
    from dataclasses import asdict

    from nntrace.keep import bytes_on_disk
    from nntrace.schema import STREAMS

    steps = trace.steps
    folder = trace.path
    return {
        "manifest": {**asdict(trace.manifest), "status": trace.status.value},
        "path": None if folder is None else str(folder),
        "overhead": trace.overhead,
        "bytes_on_disk": 0 if folder is None else bytes_on_disk(folder),
        "ranks": trace.ranks,
        "rank": trace.rank,
        "steps": len(steps),
        "first_step": int(steps.step[0]) if len(steps) else None,
        "last_step": int(steps.step[-1]) if len(steps) else None,
        "last_loss": trace.last_loss,
        "sampled_steps": len(trace.sampled_steps),
        "rows": {name: trace.table(name).num_rows for name in STREAMS},
        "events": dict(Counter(event.kind for event in trace.events)),
        "sites": _sites(trace),
    }


def _sites(trace: "Trace") -> list[dict[str, Any]]:
    """Each site in depth order, with the last value of each statistic."""
    from nntrace.schema import Role

    last: dict[int, dict[str, float | None]] = {}
    for role in Role:
        columns = trace.sites_of(role)
        for stat in _STATISTICS if columns and len(trace.sampled_steps) else ():
            for site, value in zip(columns, _last_finite(trace.series(role, stat)), strict=True):
                last.setdefault(site.id, {})[stat] = value
    return [
        {
            "id": site.id,
            "path": site.path,
            "role": site.role.value,
            "module_type": site.module_type,
            "shape": site.shape,
            "dtype": site.dtype,
            "numel": site.numel,
            "file": site.file,
            "line": site.line,
            "last": last.get(site.id, dict.fromkeys(_STATISTICS)),
        }
        for site in trace.sites
    ]


def _last_finite(values: Any) -> list[float | None]:
    """The last value of each column that is not NaN; None where there is none."""
    import numpy as np

    known = ~np.isnan(values)
    index = len(values) - 1 - np.argmax(known[::-1], axis=0)
    chosen = values[index, np.arange(values.shape[1])]
    return [None if np.isnan(value) else float(value) for value in chosen]
