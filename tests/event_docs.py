"""What docs/trace-format.md says of events, and what a run holds that it does not say."""

import functools
import json
import re
from pathlib import Path

import pyarrow as pa

PAGE = Path(__file__).parents[1] / "docs" / "trace-format.md"


@functools.cache
def documented_keys() -> dict[str, frozenset[str]]:
    """The words in code style of each kind's paragraph: the keys of its payload are among them."""
    events = PAGE.read_text(encoding="utf-8").split("\n## Events\n")[1].split("\n## ")[0]
    known: dict[str, frozenset[str]] = {}
    for paragraph in re.split(r"\n(?=- \*\*)", f"\n{events.strip()}")[1:]:
        head, text = paragraph.split("**: ", 1)
        words = frozenset(re.findall(r"`(\w+)`", text))
        for kind in re.findall(r"`(\w+)`", head):
            known[kind] = words
    for kind, words in known.items():
        if "mode" in words:  # "as in `mode`"
            known[kind] = words | known["mode"]
    return known


def undocumented(run: Path) -> list[str]:
    """Kinds and keys of the events of a run that the page does not mention."""
    known, found = documented_keys(), set()
    for file in run.glob("rank-*/events-*.arrows"):
        if not file.stat().st_size:  # tracing ended before its first record
            continue
        with pa.ipc.open_stream(file) as stream:
            for row in stream.read_all().select(["kind", "payload"]).to_pylist():
                if row["kind"] not in known:
                    found.add(row["kind"])
                    continue
                keys = json.loads(row["payload"] or "{}")
                found |= {f"{row['kind']}.{key}" for key in keys if key not in known[row["kind"]]}
    return sorted(found)
