"""One traced process: its recorder, its adapters, and the line it prints at the end.

A session is created once a framework has been imported.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from nntrace.adapter import Adapter, installed_adapters
from nntrace.adapter.patching import all_or_nothing
from nntrace.adapter.versions import needs_newer
from nntrace.errors import FrameworkTooOldError, NntraceError
from nntrace.launch.command import Settings
from nntrace.launch.exits import Exit, before_hard_exit, failure_of
from nntrace.launch.others import others_failed, others_finished
from nntrace.manifest import Manifest
from nntrace.notices import say
from nntrace.ranks import rank, world_size
from nntrace.recorder import Cadence, Recorder
from nntrace.recorder.forks import in_parents_of_forks
from nntrace.schema import MANIFEST, RunStatus
from nntrace.text import plural, printable

# With more bytes of statistics than this, findings are not counted at exit: it would take seconds.
_COUNT_FINDINGS_BYTES = 32 * 1024 * 1024
_BUSY = 0.2  # the share of the time in which other work had the processor


class Session:
    """The recorder of this process and the adapters that feed it.

    Args:
        settings: the settings of the run, by default from the environment of `nntrace run`.
        explains_silence: whether to say why, when nothing was recorded.
        is_command: whether this process is the user's command itself, whose end is the run's.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        explains_silence: bool,
        is_command: bool,
    ) -> None:
        settings = settings or Settings.from_environment()
        self._settings = settings
        self._explains_silence = explains_silence
        self._is_command = is_command
        self._adapters: dict[str, Adapter] = {}
        self._said_origins: set[tuple[Any, ...]] = set()
        self._forks = 0
        self._exit = Exit()
        self._unpatch_exits: list[Callable[[], None]] = []
        in_parents_of_forks(self._count_fork)
        sampling, experiment = settings.sampling, settings.experiment
        self.recorder = Recorder(
            Path(settings.run),
            _manifest(settings),
            Cadence(budget=sampling.budget, every=sampling.every),
            sampling=sampling,
            experiment=experiment,
            rank=rank(),
            replays=_replayed(settings),
            world_size=world_size(),
        )
        if experiment is None and not settings.replays:
            self.recorder.hooks.on_origin(self.recorder.guard(self._say_origin))
            self._unpatch_exits = [before_hard_exit(self._leave), *self._exit.watch()]

    def install(self, framework: str) -> None:
        """Load the framework's adapter, once, and let it hook into the framework.

        Raises:
            FrameworkTooOldError: the adapter's package needs a newer version of the framework.
        """
        if framework in self._adapters:
            return
        entry = installed_adapters()[framework]
        version = str(getattr(sys.modules.get(framework), "__version__", "unknown"))
        if needed := needs_newer(entry, version):
            raise FrameworkTooOldError(
                f"{framework} {version} is too old for nntrace, which can trace {framework} from "
                f"{needed} on. The program runs as without nntrace."
            )
        adapter: Adapter = entry.load()()
        with all_or_nothing():
            undo: Callable[[], None] = adapter.install(self.recorder)
        self.recorder.on_failure(undo)
        self._adapters[framework] = adapter
        self.recorder.versions[framework] = version

    def finish(self, failure: BaseException | None) -> None:
        """End the run and print one line: its name, what was found and what to do next.

        Args:
            failure: the exception that ended the training, if any.
        """
        for unpatch in self._unpatch_exits:
            unpatch()
        error = None if failure is None else failure_of(failure)
        if isinstance(failure, Exception):
            self.recorder.hooks.ended_by(failure)
        ending = error or self._exit.error
        self.recorder.close(RunStatus.FAILED if ending else RunStatus.FINISHED, ending)
        if self.recorder.opened:
            is_training = self._settings.experiment is None and not self._settings.replays
            if is_training:
                self._say_summary(with_findings=True)
        elif (Path(self._settings.run) / MANIFEST).exists():
            self._end_of_others(error, ending)
        elif self._explains_silence and not Path(self._settings.run).exists():
            reasons = [adapter.nothing_recorded() for adapter in self._adapters.values()]
            if reasons and self.recorder.failure is None:  # a failure was reported at once
                say(f"nothing was recorded: {'; '.join(reasons)}.{self._of_forks()}")
        self._adapters.clear()  # a notebook may keep this session alive through its `Tracing`

    def _end_of_others(self, error: str | None, ending: str | None) -> None:
        """Complete the manifest of a run that other processes recorded, if they did not."""
        run = Path(self._settings.run)
        if error is None and self._is_command:
            error = ending
        if error is not None:
            others_failed(run, error)
        elif self._is_command and others_finished(run):
            say(printable(f"{run.name}{self._findings()}. Next: nntrace diagnose {_word(run)}"))

    def _leave(self, exit_code: int) -> None:
        """The program calls `os._exit`."""
        error = f"os._exit({exit_code})" if exit_code else None
        self.recorder.leave(RunStatus.FAILED if error else RunStatus.FINISHED, error)
        if self.recorder.opened:
            self._say_summary(with_findings=False)  # to look for them would take seconds

    def _count_fork(self) -> None:
        self._forks += 1

    def _of_forks(self) -> str:
        """What to do if it was in a forked process that something trained."""
        if not self._forks:
            return ""
        framework = " and ".join(self._adapters)
        processes = "process was" if self._forks == 1 else "processes were"
        return (
            f" {self._forks} {processes} forked from this one, and what they train is not recorded:"
            f" start them with multiprocessing's method `spawn`, or import {framework} only there."
        )

    def _say_origin(self, payload: dict[str, Any], step: int) -> None:
        """Print the origin of a non-finite value in one line, while the program goes on.

        An operation that breaks again is not named again. Ranks other than 0 print nothing where
        the origin is unknown: another rank knows it.
        """
        from nntrace.rules.numerics.origin_words import sentence
        from nntrace.rules.numerics.origins import origin_of

        origin, rank = origin_of(payload, step), self.recorder.rank
        if rank and origin.where == "unknown":
            return
        cause = (origin.where, origin.text("module"), origin.text("op"), origin.location)
        if cause in self._said_origins:
            return
        self._said_origins.add(cause)
        of_rank = f"rank {rank}: " if rank else ""
        place = ""
        if (line := origin.location) is not None:
            place = f" ({_shown(Path(line.file))}:{line.line})"
        told = f"{of_rank}{sentence(None, origin)}{place}"
        say(printable(f"{told}. Next: nntrace diagnose {_word(self.recorder.run)}"))

    def _say_summary(self, *, with_findings: bool) -> None:
        recorder = self.recorder
        if recorder.rank != 0 or not (recorder.run / MANIFEST).exists():
            return
        sampled = recorder.pace.sampled_steps
        findings = self._findings() if with_findings else ""
        say(
            printable(
                f"{recorder.run.name}: {plural(recorder.steps, 'step')}, {sampled} sampled, "
                f"overhead {overhead_of(recorder)}{findings}. "
                f"Next: nntrace diagnose {_word(recorder.run)}"
            )
        )

    def _findings(self) -> str:
        files = list(self.recorder.run.glob("rank-*/stats-*.arrows"))
        if not files or sum(file.stat().st_size for file in files) > _COUNT_FINDINGS_BYTES:
            return ""
        from nntrace.diagnosis import diagnose
        from nntrace.rules import Severity
        from nntrace.trace import Trace

        try:
            diagnosis = diagnose(Trace.open(self.recorder.run))
        except (NntraceError, OSError):
            return ""
        counts = {"error": diagnosis.count(Severity.ERROR)}
        counts["warning"] = diagnosis.count(Severity.WARNING)
        found = [plural(n, word) for word, n in counts.items() if n]
        until = " before tracing stopped" if self.recorder.failure else ""
        words = f"found {' and '.join(found)}" if found else "no problems found"
        return f", {words}{until}"


def overhead_of(recorder: Recorder) -> str:
    """The overhead as a share of the time, and the reason where it exceeds the budget."""
    account, cadence = recorder.account, recorder.cadence
    share, seconds = f"{account.overhead:.1%}", account.spent_ns / 1e9
    allowed_ns = cadence.budget * account.elapsed_ns
    granted_ns = cadence.grace_ns + allowed_ns
    if cadence.every is not None or account.spent_ns < 1.2 * allowed_ns:
        return share
    budget = f"{100 * cadence.budget:.3g}%"
    if account.spent_ns > granted_ns and (starved := recorder.contention.share() or 0.0) > _BUSY:
        busy = f"other programs had the processor for {starved:.0%} of the time"
        return f"{share} (on a busy machine: {busy})"
    if account.spent_ns > granted_ns and recorder.pace.facts.spent_ns > allowed_ns:
        return f"{share} (steps are so short that even unsampled ones exceed {budget})"
    if account.spent_ns > 2 * granted_ns:
        return f"{share} ({seconds:.1f} s)"
    return f"{share} ({seconds:.1f} s: a short run is sampled densely, a long one at {budget})"


def _manifest(settings: Settings) -> Manifest:
    config = asdict(settings.sampling)
    experiment = settings.experiment
    if experiment is not None:
        config["experiment"] = asdict(experiment)
    manifest = Manifest.begin(Path(settings.run).name, settings.command, config)
    if experiment is not None and experiment.folder:
        manifest = replace(manifest, cwd=experiment.folder)
    return manifest


def _replayed(settings: Settings) -> Path | None:
    """The capsule to replay in this process; only the rank it was recorded on replays it."""
    its_rank = os.environ.get("NNTRACE_REPLAY_RANK", "0")
    is_it = bool(settings.replays) and its_rank == str(rank())
    return Path(settings.replays) if is_it else None


def _word(path: Path) -> str:
    """The same as a word of a shell command."""
    import shlex  # at the end of a run only: starting counts

    return shlex.quote(_shown(path))


def _shown(path: Path) -> str:
    """The path of a run or a file as the user would type it in the working folder."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):  # elsewhere, or the working directory is gone
        return str(path)
