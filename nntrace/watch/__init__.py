"""Watching a run: what a monitor shows, and how it gets there, also from another machine.

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
    """A run for a monitor to show.

    Attributes:
        run: the run folder, or a mirror of it.
        diagnose: diagnoses a trace, by the rules and thresholds of the user's configuration.
        runs: the runs to switch between; None when there is only this one.
        output: the file that the traced program's own output goes to, if known.
        interrupt, terminate: pass Ctrl-C and SIGTERM on to the program; None when the program was
            not started by this process. `interrupt` is false if the program has ended.
        problem: returns what is wrong with the connection to the run, or None.
        where: the name of the run folder for the user, if that is not `run`.
        thresholds: the configured thresholds by rule code; for others the rules' defaults hold.
    """

    run: Path
    diagnose: "Diagnose"
    runs: "RunList | None" = None
    output: Path | None = None
    interrupt: Callable[[], bool] | None = None
    terminate: Callable[[], None] | None = None
    problem: Callable[[], str | None] = lambda: None
    where: str | None = None
    thresholds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """The place of the run, as the user would name it and as `RunRow.place` does."""
        return self.where or str(self.run)


class Monitor(Protocol):
    """Shows a run until the user leaves."""

    def __call__(self, watch: Watch) -> None:
        """Show a run and return when the user has left; the run goes on.

        Raises:
            NntraceError: the run cannot be shown here.
        """


def configured_diagnosis(config: "Config") -> "Diagnose":
    """A function that diagnoses a trace by the rules and thresholds of a configuration.

    Raises:
        ConfigError, UnknownRuleError: the configuration names unknown rules or thresholds.
    """
    from functools import partial

    from nntrace.diagnosis import diagnose

    if not (config.select or config.ignore or config.rules):
        return diagnose  # nothing to check, so that the rules are loaded only when they run
    return partial(diagnose, rules=config.chosen_rules(), thresholds=config.thresholds())
