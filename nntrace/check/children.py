"""Runs the user's command under one experiment: a process group of its own in a sandbox of its own.

Nothing of it is left when the check ends, however it ends.
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
# Against what would wait for a person, reach a service, or compile for minutes.
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
        given: what the user typed.
        words: with the program found.
        folder: the working folder.
        left_out: what of it the sandboxes do not show.
        threads: processor cores of each process; 0 leaves that to the program.
        shown: whether the program's output goes to the terminal.
        stdin: the file that each process reads from its beginning.
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
        command: the command.
        planned: the experiment.
        run: the folder for its run; the output goes to a file beside it.
        deadline: when it is ended, as `time.monotonic` counts.
    """

    def __init__(self, command: Command, planned: Planned, run: Path, deadline: float) -> None:
        self.planned = planned
        self.run = run
        self.was_late = False
        self._log = run.with_name(f"{run.name}.log")
        self._deadline = deadline
        self._home = Path(tempfile.mkdtemp(prefix="nntrace-check-")).resolve()
        self._notes = self._home / "escapes"
        surroundings, scratch = self._home / "around", self._home / "tmp"
        sandbox = make_surroundings(command.folder, surroundings)
        scratch.mkdir()
        self.shared = make_sandbox(command.folder, sandbox, command.left_out)
        experiment = replace(
            planned.experiment,
            sandbox=str(sandbox),
            surroundings=str(surroundings),
            folder=str(command.folder),
        )
        settings = Settings(str(run), command.given, planned.sampling, experiment)
        cores = {name: str(command.threads) for name in _THREADS if command.threads}
        program, *words = command.words
        with self._log.open("wb") as output, open(command.stdin, "rb") as given:
            self._process = subprocess.Popen(
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
        """Whether it is still running; past its deadline it is interrupted, then killed."""
        if self._process.poll() is None:
            late = time.monotonic() - self._deadline
            if late > 0 and not self.was_late:
                self.was_late = True
                self._send(signal.SIGINT)  # the run is completed, as at Ctrl-C
            elif late > _GRACE_SECONDS:
                self.end()
        if self._process.poll() is None:
            return True
        self._send(signal.SIGKILL)  # loader workers, other ranks
        return False

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def last_words(self) -> str:
        """The last line it wrote, for a message."""
        try:
            lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        said = [line.strip() for line in lines if line.strip()]
        return printable((said or [""])[-1], 300)

    def escapes(self) -> tuple[tuple[str, str], ...]:
        """What could not be kept inside: what kind it is (`containment`), and what."""
        try:
            lines = self._notes.read_text(encoding="utf-8").splitlines()
        except OSError:
            return ()
        return tuple(dict.fromkeys(literal_eval(line) for line in lines))

    def end(self) -> None:
        """End it, and everything it has started."""
        self._send(signal.SIGKILL)
        self._process.wait()

    def clean(self) -> None:
        """Remove the sandbox."""
        shutil.rmtree(self._home, ignore_errors=True)

    def _send(self, number: int) -> None:
        try:
            os.killpg(self._process.pid, number)
        except OSError:  # all of them have ended
            return
