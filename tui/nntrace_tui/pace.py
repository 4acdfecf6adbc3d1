"""How much of the machine the monitor may take from the training that it watches."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Limits in seconds, shares of one core, and rows in memory.

    Attributes:
        running, idle: seconds between two reads while the run goes on, and once it has ended.
        diagnosis: the least seconds between two diagnoses.
        share: of a core that reading and diagnosing may take, each: a large trace is read less
            often, not at a higher cost.
        rows: of statistics that are held for the shown rank, and for all other ranks together;
            about 90 bytes each, and once more for drawing if there are more.
    """

    running: float = 1.0
    idle: float = 5.0
    diagnosis: float = 3.0
    share: float = 0.02
    rows: int = 500_000
