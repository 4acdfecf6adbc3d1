"""Tracing from within a program or a notebook: `nntrace.start()` and `nntrace.log()`.

They use the same engine as `nntrace run`. In a process started by `nntrace run` both act on that
run, so that a script may keep its calls however it is started; without a run `log` does nothing.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, SupportsFloat

from nntrace.config import load_config, parse_budget, parse_kinds
from nntrace.errors import ConfigError
from nntrace.launch.agent import Agent, current_agent
from nntrace.launch.command import Settings, prepare_run
from nntrace.notices import say
from nntrace.ranks import rank
from nntrace.text import printable


class Tracing:
    """A run that is being recorded; as a context manager it ends with its block."""

    def __init__(self, agent: Agent, run: Path, *, owned: bool) -> None:
        self._agent = agent
        self._run = run
        self._owned = owned

    @property
    def run(self) -> Path:
        """The run folder; it exists once something trains."""
        return self._agent.run or self._run

    def stop(self) -> None:
        """End the run if `start` began it. A run that is not stopped ends with the process."""
        self._finish(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._finish(error)

    def __repr__(self) -> str:
        return f"<nntrace.Tracing {printable(str(self.run))}>"

    def _finish(self, error: BaseException | None) -> None:
        if self._owned:
            self._agent.finish(error)


def start(
    *,
    name: str | None = None,
    out: str | Path | None = None,
    budget: float | str | None = None,
    every: int | None = None,
    exact: bool | None = None,
    include: Sequence[str] | None = None,
    exclude: Sequence[str] | None = None,
    kinds: Sequence[str] | None = None,
    capsules: bool | None = None,
) -> Tracing:
    """Trace training in this process from here on, as `nntrace run` does from the beginning.

    Models, optimizers and data loaders may exist already. Options that are not given come from the
    project's settings. If this process is already traced, its run is returned and nothing changes.

    Args:
        name: the name of a new run in the runs folder, by default the script's name.
        out: the run folder; by default a new one in the runs folder. All ranks of one training
            must pass the same folder, or, if torchrun, srun or mpirun started them, none.
        budget: the share of elapsed time that tracing may cost, such as 0.02 or "2%".
        every: sample every n-th step instead of keeping to the budget.
        exact: read every element of a tensor instead of a sample of it.
        include: patterns (`encoder.*`) of the module paths to sample.
        exclude: patterns of the module paths to leave out.
        kinds: the kinds to sample, such as ["activation", "update"].
        capsules: keep the step at which a value is not finite, or the loss jumps, for a replay.

    Raises:
        ConfigError: an option or a setting is not valid.
        NntraceError: the run folder cannot be written.
    """
    agent = current_agent()
    if agent is not None:
        return Tracing(agent, agent.run or Path(), owned=False)
    if every is not None and every < 1:
        raise ConfigError(f"every={every!r} is not a number of steps from 1 up.")
    config = load_config()
    given = {
        "budget": None if budget is None else parse_budget(str(budget)),
        "every": every,
        "exact": exact,
        "include": None if include is None else _words(include),
        "exclude": None if exclude is None else _words(exclude),
        "kinds": None if kinds is None else parse_kinds(_words(kinds)),
        "capsules": capsules,
    }
    chosen: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    sampling = replace(config.sampling, **chosen)
    is_first = rank() == 0
    if out is not None and not is_first:
        run = Path(out).absolute()  # the first rank makes room
    else:
        where = None if out is None else Path(out)
        run = prepare_run(where, name, config.runs_folder, otherwise=_program())
    agent = Agent(Settings(str(run), tuple(sys.argv), sampling), speaks=True)
    agent.watch()
    return Tracing(agent, run, owned=True)


def log(**values: SupportsFloat) -> None:
    """Record numbers of your own at the current optimizer step: `nntrace.log(accuracy=0.93)`.

    Anything that `float` accepts is a number, including a tensor of one element. Without a run
    the call does nothing.
    """
    agent = current_agent()
    if agent is None or agent.recorder is None or not agent.recorder.active:
        return
    for name, value in values.items():
        detach = getattr(value, "detach", None)  # torch warns when a tensor with a graph is read
        try:
            number = float(value if detach is None else detach())
        except (TypeError, ValueError, RuntimeError):
            if name not in agent.refused:
                agent.refused.add(name)
                say(f"log({name}=…) is not a number but {type(value).__name__}: not recorded.")
            continue
        agent.recorder.add_scalar(name, number)


def _words(words: Sequence[str]) -> tuple[str, ...]:
    return (words,) if isinstance(words, str) else tuple(words)


def _program() -> str:
    """The default name of the run: the script's name, or `notebook` in a notebook."""
    script = Path(sys.argv[0] if sys.argv else "").stem
    return "notebook" if "ipykernel" in sys.modules else script or "python"
