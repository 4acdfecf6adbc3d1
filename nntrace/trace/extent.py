"""How far a run has come, read from only the ends of its step stream: for lists of many runs."""

from pathlib import Path

from nntrace.trace.packed import open_stream


def last_step(run: Path) -> tuple[int, float | None]:
    """The number of steps of the run's lowest rank, and the last step's loss if recorded.

    Raises:
        DamagedTraceError, SchemaVersionError: the step stream cannot be read.
    """
    folder = min(run.glob("rank-*"), default=run)
    ends = [batch for batch in open_stream(folder, "steps").read_some(2) if batch.num_rows]
    if not ends:
        return 0, None
    first, last = ends[0]["step"][0].as_py(), ends[-1]["step"][-1].as_py()
    return last - first + 1, ends[-1]["loss"][-1].as_py()
