"""Exports Parquet, partitioned as query engines expect: `STREAM/run=NAME/rank=0/part-0.parquet`.

The columns are those of the run folder's streams (`docs/trace-format.md`), unchanged.
"""

from pathlib import Path
from urllib.parse import quote

import pyarrow.parquet as pq

from nntrace.arrow import opened
from nntrace.schema import STREAMS
from nntrace.trace import Trace


def export(trace: Trace, folder: Path) -> int:
    """Write every stream of every rank and return the number of rows.

    Runs that are exported to one folder lie side by side.
    """
    name = trace.path.name if trace.path is not None else trace.manifest.name
    written = 0
    for rank in trace.ranks:
        of_rank = trace.of_rank(rank)
        for stream in STREAMS:
            table = of_rank.table(stream)
            # Hive partition values are percent-encoded where a path could not hold them.
            part = folder / stream / f"run={quote(name, safe=' ')}" / f"rank={rank}"
            part.mkdir(parents=True, exist_ok=True)
            with opened(part / "part-0.parquet", "wb") as file:
                pq.write_table(table, file, compression="zstd")
            written += table.num_rows
    return written
