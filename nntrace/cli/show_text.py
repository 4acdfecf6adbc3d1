"""The text form of `nntrace show`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from nntrace.text import printable
from nntrace.text.values import UNKNOWN, number, percent, size, when

_WIDEST_PATH = 60


def lines(content: Mapping[str, Any]) -> Iterator[Text]:
    """The facts about the run, as lines of label and value."""
    manifest = content["manifest"]
    yield Text(printable(str(content["path"] or manifest["name"])), "bold")
    for label, value in _facts(content, manifest):
        if value:
            yield Text.assemble((f"  {label:<9} ", "dim"), printable(value))


def _facts(content: Mapping[str, Any], manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "status", manifest["status"]
    yield "error", manifest["error"] or ""
    yield "command", " ".join(manifest["command"])
    yield "started", when(manifest["started_ns"])
    yield "versions", ", ".join(f"{name} {v}" for name, v in manifest["versions"].items())
    yield "git", manifest["git_commit"] or ""
    yield "overhead", percent(content["overhead"])
    yield "ranks", _ranks(content["ranks"], content["rank"])
    yield "steps", _steps(content)
    yield "events", ", ".join(f"{count} {kind}" for kind, count in content["events"].items())
    yield "rows", ", ".join(f"{count} {name}" for name, count in content["rows"].items())
    yield "on disk", size(content["bytes_on_disk"])


def _ranks(ranks: Sequence[int], shown: int) -> str:
    return "1" if len(ranks) == 1 else f"{len(ranks)} (rank {shown} is shown here)"


def _steps(content: Mapping[str, Any]) -> str:
    if not content["steps"]:
        return "none yet"
    span = f"{content['first_step']}–{content['last_step']}"
    loss = number(content["last_loss"])
    return f"{content['steps']} ({span}), {content['sampled_steps']} sampled, last loss {loss}"


def sites_table(sites: Sequence[Mapping[str, Any]]) -> Table:
    """A table with one row per site in depth order, with its last statistics."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("site", "role", "type", "shape"):
        table.add_column(heading, overflow="fold")
    for heading in ("mean", "std", "min", "max", "zero", "nonfinite"):
        table.add_column(heading, justify="right", no_wrap=True)
    for site in sites:
        last = site["last"]
        table.add_row(
            Text(printable(site["path"], _WIDEST_PATH) or "(root)"),
            Text(site["role"]),
            Text(printable(site["module_type"], _WIDEST_PATH)),
            Text("×".join(map(str, site["shape"])) or UNKNOWN),
            *(Text(number(last[name])) for name in ("mean", "std", "min", "max")),
            Text(percent(last["zero_fraction"])),
            Text(percent(last["nonfinite_fraction"])),
        )
    return table
