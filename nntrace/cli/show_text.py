"""The text form of `nntrace show`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.text import Text

from nntrace.text import printable
from nntrace.text.values import UNKNOWN, number, percent, size, when

_WIDEST_PATH = 60
_NARROWEST_PATH = 20
_GAP = "  "
_WORDS = 4  # columns of words; the rest are numbers
_HEADINGS = ("site", "role", "type", "shape", "mean", "std", "min", "max", "zero", "nonfinite")


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


def sites_table(sites: Sequence[Mapping[str, Any]], width: int) -> Iterator[str]:
    """A table with one line per site in depth order, with its last statistics; first the headings.

    A path too long for `width` goes on in further lines. Rich's tables take 2 ms per row, and a
    large model has tens of thousands of sites.
    """
    rows = [_HEADINGS, *(_cells(site) for site in sites)]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    others = sum(widths[1:]) + len(_GAP) * (len(widths) - 1)
    widths[0] = min(widths[0], max(width - others, _NARROWEST_PATH))
    for path, *cells in rows:
        first, *rest = chop_cells(path, widths[0]) or [""]
        padded = [set_cell_size(first, widths[0])]
        for place, (cell, room) in enumerate(zip(cells, widths[1:], strict=True), start=1):
            is_number = place >= _WORDS
            padded.append(cell.rjust(room) if is_number else set_cell_size(cell, room))
        yield _GAP.join(padded)
        yield from rest


def _cells(site: Mapping[str, Any]) -> tuple[str, ...]:
    last = site["last"]
    return (
        printable(site["path"], _WIDEST_PATH) or "(root)",
        site["role"],
        printable(site["module_type"], _WIDEST_PATH),
        "×".join(map(str, site["shape"])) or UNKNOWN,
        *(number(last[name]) for name in ("mean", "std", "min", "max")),
        percent(last["zero_fraction"]),
        percent(last["nonfinite_fraction"]),
    )
