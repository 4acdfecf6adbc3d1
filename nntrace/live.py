"""`nntrace run --live`: the command in the background, the monitor in the foreground.

The command's output goes to a file beside the run folder and is shown once the monitor is left;
leaving the monitor never ends the training.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path

from nntrace.errors import NntraceError
from nntrace.notices import say
from nntrace.schema import MANIFEST

GROUP = "nntrace.monitors"
_POLL_SECONDS = 0.1


def load_monitor() -> Callable[[Path], None]:
    """The installed monitor: a function that shows a run folder until the user leaves.

    Raises:
        NntraceError: none is installed, or its dependencies are missing.
    """
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            monitor: Callable[[Path], None] = entry.load()
        except ModuleNotFoundError as error:
            raise NntraceError(
                f"the monitor needs {error.name}, which is not installed. "
                'Install it: pip install "nntrace[tui]".'
            ) from error
        return monitor
    raise NntraceError('no monitor is installed. Install one: pip install "nntrace[tui]".')


def launch_live(words: Sequence[str], environment: Mapping[str, str], run: Path) -> int:
    """Run the command with the monitor open on it; the command's exit code.

    Raises:
        NntraceError: no monitor can be shown here.
    """
    if not _has_terminal():
        raise NntraceError("--live needs a terminal. Without one: nntrace run, nntrace monitor.")
    monitor = load_monitor()
    run.parent.mkdir(parents=True, exist_ok=True)
    log = run.with_name(f"{run.name}.log")
    with log.open("wb") as output:
        training = subprocess.Popen(
            words, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    say(f"waiting for the first step; the program's output goes to {log}")
    try:
        while training.poll() is None and not (run / MANIFEST).exists():
            time.sleep(_POLL_SECONDS)
        if (run / MANIFEST).exists():
            monitor(run)
        return _wait(training, log)
    except KeyboardInterrupt:
        # The terminal sent the interrupt to the training as well.
        return _wait(training, log)


def _has_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _wait(training: subprocess.Popen[bytes], log: Path) -> int:
    """Show the program's output, what is there and what follows, until it ends."""
    if training.poll() is None:
        say(f"training goes on as process {training.pid}; Ctrl-C interrupts it")
    with log.open("rb") as output:
        while True:
            ended = training.poll() is not None
            shutil.copyfileobj(output, sys.stdout.buffer)
            sys.stdout.flush()
            if ended:
                break
            time.sleep(_POLL_SECONDS)
    code = training.returncode
    return code if code >= 0 else 128 - code
