"""Exports one CSV file per stream, with the rank in front; lists are JSON, as in `[64, 10]`."""

import csv
import json
from pathlib import Path
from typing import Any

from nntrace.schema import STREAMS
from nntrace.trace import Trace


def export(trace: Trace, folder: Path) -> int:
    """Write `FOLDER/steps.csv`, `FOLDER/stats.csv` and so on; return the number of rows."""
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    for stream, columns in STREAMS.items():
        names = [column.name for column in columns]
        with (folder / f"{stream}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["rank", *names])
            for rank in trace.ranks:
                for batch in trace.of_rank(rank).table(stream).to_batches():
                    rows = batch.to_pylist()
                    writer.writerows([rank, *(_cell(row[name]) for name in names)] for row in rows)
                    written += len(rows)
    return written


def _cell(value: Any) -> Any:
    """A value as CSV holds it: an empty cell for null, JSON for lists."""
    if value is None:
        return ""
    if isinstance(value, list):
        return json.dumps(value)
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
