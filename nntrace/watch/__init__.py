"""Watching a run: what a monitor is given, and how it gets there, also from another machine.

`Watch` is the seam between the commands and the plug-ins of the group `nntrace.monitors`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from nntrace.config import Config
    from nntrace.diagnosis import Diagnosis
    from nntrace.trace import Trace
    from nntrace.watch.run_lists import RunList

    Diagnose = Callable[[Trace], Diagnosis]


@dataclass(frozen=True, slots=True)
class Watch:
    """A run to be shown.

    Attributes:
        run: its folder, or one that mirrors it.
        diagnose: makes the findings, by the rules and thresholds of the user's configuration.
        thresholds: those of that configuration, by rule code; the rules' own where it has none.
        runs: the runs to switch between; None when there is only this one.
        output: a file that the traced program's own output goes to.
        interrupt, terminate: pass Ctrl-C and SIGTERM on to the program; None when it is not ours.
        problem: what is wrong with the connection to the run, if anything.
        where: how the user would name the run's folder, when that is not `run`.
    """

    run: Path
    diagnose: "Diagnose"
    runs: "RunList | None" = None
    output: Path | None = None
    interrupt: Callable[[], None] | None = None
    terminate: Callable[[], None] | None = None
    problem: Callable[[], str | None] = lambda: None
    where: str | None = None
    thresholds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Where the run is, as the user would say it and as its list of runs does."""
        return self.where or str(self.run)


class Monitor(Protocol):
    """Shows a run until the user leaves."""

    def __call__(self, watch: Watch) -> None:
        """Return when the user has left; the run goes on.

        Raises:
            NntraceError: it cannot be shown here.
        """


def configured_diagnosis(config: "Config") -> "Diagnose":
    """A diagnosis by the rules and thresholds of a configuration.

    Raises:
        ConfigError, UnknownRuleError: it names rules or thresholds that do not exist.
    """
    from functools import partial

    from nntrace.diagnosis import diagnose

    if not (config.select or config.ignore or config.rules):
        return diagnose  # nothing to check: the rules are loaded when they are first run
    return partial(diagnose, rules=config.chosen_rules(), thresholds=config.thresholds())
