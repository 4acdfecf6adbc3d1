"""An in-memory DuckDB whose views are the streams of runs, with `run` and `rank` in front.

Runs are read by `Trace`, so that torn, packed and older runs are treated as everywhere else. The
database can reach neither files nor the network: a query is not to be trusted.
"""

from collections.abc import Iterable
from typing import Final

import duckdb
import pyarrow as pa

from nntrace.schema import STREAMS
from nntrace.trace import Trace

VIEWS: Final = (*STREAMS, "layers")
QueryError: Final = duckdb.Error  # raised for a query that is wrong, or reaches outside

# The statistics with the names of their sites: the join that most queries need.
_LAYERS: Final = """
CREATE VIEW layers AS
SELECT st.run, st.rank, st.step, si.path, si.role, si.module_type, si.shape,
       st.* EXCLUDE (run, rank, step, site)
FROM stats st JOIN sites si
  ON st.run = si.run AND st.rank = si.rank AND st.site = si.id
"""


def connect(traces: Iterable[Trace]) -> duckdb.DuckDBPyConnection:
    """A connection to a database with the views `VIEWS` over every rank of these runs."""
    tables: dict[str, list[pa.Table]] = {name: [] for name in STREAMS}
    for trace in traces:
        for rank in trace.ranks or (trace.rank,):
            of_rank = trace.of_rank(rank)
            for name in STREAMS:
                tables[name].append(_named(of_rank, name))
    connection = duckdb.connect(":memory:")
    for name, parts in tables.items():
        connection.register(name, pa.concat_tables(parts))
    connection.execute(_LAYERS)
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def complaint(error: duckdb.Error) -> str:
    """What is wrong with a query, in one line, with the names that it may have meant."""
    said, *more = str(error).splitlines()
    if "Table with name" in said:
        return f"{said} The tables are: {', '.join(VIEWS)}."
    hints = (line for line in more if line.startswith(("Did you mean", "Candidate bindings")))
    return f"{said} {next(hints, '')}".strip()


def _named(trace: Trace, stream: str) -> pa.Table:
    table = trace.table(stream)
    run = trace.path.name if trace.path is not None else trace.manifest.name
    names = pa.array([run] * table.num_rows, pa.string())
    ranks = pa.array([trace.rank] * table.num_rows, pa.int32())
    return table.add_column(0, "rank", ranks).add_column(0, "run", names)
