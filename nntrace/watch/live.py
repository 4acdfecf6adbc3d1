"""`nntrace run --live`: the command in the background, the monitor in the foreground.

The command's output goes to a file beside the run folder, which the monitor shows. Leaving the
monitor never ends the training; its output then appears on the terminal. The command has its own
process group, so that Ctrl-C reaches it exactly once, through this process; SIGTERM is passed on.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path

from nntrace.errors import NntraceError
from nntrace.notices import say
from nntrace.schema import MANIFEST
from nntrace.watch import Monitor, Watch, configured_diagnosis
from nntrace.watch.run_lists import LocalRuns

GROUP = "nntrace.monitors"
_POLL_SECONDS = 0.1


def load_monitor() -> Monitor:
    """Load the installed monitor, a function that shows a run until the user leaves.

    Raises:
        NntraceError: none is installed, or its dependencies are missing.
    """
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            monitor: Monitor = entry.load()
        except ModuleNotFoundError as error:
            raise NntraceError(
                f"the monitor needs {error.name}, which is not installed. "
                'Install it: pip install "nntrace[tui]".'
            ) from error
        return monitor
    raise NntraceError('no monitor is installed. Install one: pip install "nntrace[tui]".')


def launch_live(words: Sequence[str], environment: Mapping[str, str], run: Path) -> int:
    """Run the command with the monitor open on it, and return the command's exit code.

    Raises:
        NntraceError: no monitor can be shown here, or the configuration is wrong.
    """
    from nntrace.config import load_config

    if not has_terminal():
        raise NntraceError("--live needs a terminal. Without one: nntrace run, nntrace monitor.")
    monitor = load_monitor()
    config = load_config()
    diagnose, thresholds = configured_diagnosis(config), config.thresholds()
    run.parent.mkdir(parents=True, exist_ok=True)
    log = run.with_name(f"{run.name}.log")
    program = _Program(words, environment, log)
    say(f"waiting for the first step; the program's output goes to {log}")
    signal.signal(signal.SIGTERM, lambda *_: program.terminate())
    try:
        while program.runs and not (run / MANIFEST).exists():
            time.sleep(_POLL_SECONDS)
        if (run / MANIFEST).exists():
            interrupt, terminate = program.interrupt, program.terminate
            runs = LocalRuns(run.parent, diagnose, thresholds)
            watch = Watch(run, diagnose, runs, log, interrupt, terminate)
            monitor(replace(watch, thresholds=thresholds))
    except KeyboardInterrupt:
        program.interrupt()
    return _wait(program, log)


class _Program:
    """The command as a child process with its own process group."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        # Unbuffered, so that output is visible at once although it goes to a file.
        environment = {"PYTHONUNBUFFERED": "1", **environment}
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                words,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=os.name == "posix",
            )

    @property
    def pid(self) -> int:
        """The id of the command's process."""
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether the command is still running."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int:
        """The exit code as a shell reports it, 128 + n for signal n; waits for the command."""
        code = self._process.wait()
        return code if code >= 0 else 128 - code

    def interrupt(self) -> bool:
        """Send SIGINT as the terminal does at Ctrl-C: to the command and all it has started.

        False if it has ended before.
        """
        return self._send(signal.SIGINT)

    def terminate(self) -> None:
        """Send SIGTERM to the command and all it has started."""
        self._send(signal.SIGTERM)

    def _send(self, number: int) -> bool:
        """Send a signal to all of the command's processes; False if it has ended."""
        if not self.runs:
            return False
        try:
            if os.name == "posix":
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)
        except OSError:  # it has ended since the check
            return False
        return True


def has_terminal() -> bool:
    """Whether stdin and stdout are a terminal, so that a user can see a screen and press keys."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _wait(program: _Program, log: Path) -> int:
    """Copy the program's output to stdout until the program ends, and return its exit code."""
    if program.runs:
        say(f"training goes on as process {program.pid}; Ctrl-C interrupts it")
    with log.open("rb") as output:
        while True:
            try:
                ended = not program.runs
                shutil.copyfileobj(output, sys.stdout.buffer)
                sys.stdout.flush()
                if ended:
                    return program.exit_code
                time.sleep(_POLL_SECONDS)
            except KeyboardInterrupt:
                program.interrupt()
