"""How the run picker describes a run."""

import time


def age(started_ns: int, now_ns: int | None = None) -> str:
    """Return how long ago the run started: `12 s`, `5 min`, `3 h`, `2 d`."""
    seconds = max(0, ((time.time_ns() if now_ns is None else now_ns) - started_ns) // 10**9)
    for limit, size, unit in ((90, 1, "s"), (5400, 60, "min"), (129_600, 3600, "h")):
        if seconds < limit:
            return f"{seconds // size} {unit}"
    return f"{seconds // 86_400} d"
