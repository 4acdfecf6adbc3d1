"""How much of the machine the monitor may take from the training that it watches."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds, and shares of one core.

    Attributes:
        running, idle: seconds between two looks while the run goes on, and once it has ended.
        diagnosis: the least seconds between two diagnoses.
        share: of a core that reading, and diagnosing, may take each: a large trace is read less
            often, not at a higher cost.
    """

    running: float = 1.0
    idle: float = 5.0
    diagnosis: float = 3.0
    share: float = 0.02
