"""Runs the user's command under one experiment, in its own process group and its own sandbox.

No process and no sandbox is left when the check ends, however it ends.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from ast import literal_eval
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from nntrace.check.containment import ESCAPES
from nntrace.check.plan import Planned
from nntrace.check.sandbox import inside, make_sandbox, make_surroundings
from nntrace.launch.command import Settings, traced_environment
from nntrace.text import printable

_GRACE_SECONDS: Final = 5.0
_THREADS: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
# Prevents programs from waiting for a person, reaching a service, or compiling for minutes.
_QUIET: Final[Mapping[str, str]] = {
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "MPLBACKEND": "Agg",
    "WANDB_MODE": "disabled",
    "COMET_MODE": "disabled",
    "NEPTUNE_MODE": "debug",
    "CLEARML_OFFLINE_MODE": "1",
    "TORCHDYNAMO_DISABLE": "1",
}


@dataclass(frozen=True, slots=True)
class Command:
    """The user's command, and how its processes are started.

    Attributes:
        given: the command as the user typed it.
        words: the command with its program resolved.
        folder: the working folder.
        left_out: files and folders in it that the sandboxes leave out.
        threads: processor cores of each process; 0 leaves their number to the program.
        shown: whether the program's output goes to the terminal.
        stdin: the file that each process reads as its stdin.
    """

    given: tuple[str, ...]
    words: tuple[str, ...]
    folder: Path
    left_out: tuple[Path, ...] = ()
    threads: int = 0
    shown: bool = False
    stdin: str = os.devnull


class Child:
    """The process of one experiment.

    Args:
        command: the user's command.
        planned: the experiment.
        run: the run folder to write; the program's output goes to a file beside it.
        deadline: when the process is ended, in seconds of `time.monotonic`.
    """

    def __init__(self, command: Command, planned: Planned, run: Path, deadline: float) -> None:
        self.planned = planned
        self.run = run
        self.was_late = False
        self._log = run.with_name(f"{run.name}.log")
        self._deadline = deadline
        self._home = Path(tempfile.mkdtemp(prefix="nntrace-check-")).resolve()
        self._notes = self._home / "escapes"
        try:
            surroundings = self._home / "around"
            sandbox = make_surroundings(command.folder, surroundings)
            self.shared = make_sandbox(command.folder, sandbox, command.left_out)
            self._process = self._start(command, sandbox, surroundings)
        except BaseException:
            self.clean()
            raise

    def _start(
        self, command: Command, sandbox: Path, surroundings: Path
    ) -> subprocess.Popen[bytes]:
        scratch = self._home / "tmp"
        scratch.mkdir()
        experiment = replace(
            self.planned.experiment,
            sandbox=str(sandbox),
            surroundings=str(surroundings),
            folder=str(command.folder),
        )
        settings = Settings(str(self.run), command.given, self.planned.sampling, experiment)
        cores = {name: str(command.threads) for name in _THREADS if command.threads}
        program, *words = command.words
        with self._log.open("wb") as output, open(command.stdin, "rb") as given:
            return subprocess.Popen(
                [program, *(inside(word, command.folder, sandbox) for word in words)],
                cwd=sandbox,
                env={
                    **_QUIET,
                    **cores,
                    **traced_environment(settings),
                    "TMPDIR": str(scratch),
                    ESCAPES: str(self._notes),
                },
                stdin=given,
                stdout=None if command.shown else output,
                stderr=None if command.shown else subprocess.STDOUT,
                start_new_session=os.name == "posix",
            )

    def is_running(self) -> bool:
        """Whether the process still runs; past its deadline this interrupts, then kills it."""
        if self._process.poll() is None:
            late = time.monotonic() - self._deadline
            if late > 0 and not self.was_late:
                self.was_late = True
                self._send(signal.SIGINT)  # lets the program complete its run, as at Ctrl-C
            elif late > _GRACE_SECONDS:
                self.end()
        if self._process.poll() is None:
            return True
        self._send(signal.SIGKILL)  # to loader workers and other ranks that it left behind
        return False

    @property
    def exit_code(self) -> int | None:
        """The exit code of the process; None while it runs."""
        return self._process.poll()

    def last_words(self) -> str:
        """The last line of the program's output, for a message."""
        try:
            lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        said = [line.strip() for line in lines if line.strip()]
        return printable((said or [""])[-1], 300)

    def escapes(self) -> tuple[tuple[str, str], ...]:
        """Pairs (kind, name) of what could not be kept inside the sandbox (see `containment`)."""
        try:
            lines = self._notes.read_text(encoding="utf-8").splitlines()
        except OSError:
            return ()
        return tuple(dict.fromkeys(literal_eval(line) for line in lines))

    def end(self) -> None:
        """Kill the process and everything it has started."""
        self._send(signal.SIGKILL)
        self._process.wait()

    def clean(self) -> None:
        """Remove the sandbox."""
        shutil.rmtree(self._home, ignore_errors=True)

    def _send(self, number: int) -> None:
        try:
            os.killpg(self._process.pid, number)
        except OSError:  # the whole process group has ended
            return
