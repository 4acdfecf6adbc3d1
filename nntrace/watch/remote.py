"""Follows a run on another machine: `user@host:RUN` through the user's own ssh.

`nntrace stream` runs there, its bytes build a mirror of the run folder here, and a monitor follows
the mirror. There is no port, no daemon and no password handling: whatever ssh asks, it asks before
a screen is opened. A lost connection is resumed where it ended.
"""

import json
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from nntrace.errors import NntraceError
from nntrace.text import printable
from nntrace.watch.stream import Mirror, read_frame

_SPEC: Final = re.compile(r"(?P<host>[^/:\s-][^/:\s]*):(?P<run>.*)", re.DOTALL)
_RETRY_SECONDS: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
_NOT_FOUND: Final = 127
SSH: Final = ("ssh", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3")
# For use while a screen is open, where a password cannot be typed.
UNATTENDED: Final = ("-o", "BatchMode=yes")
_CLOSING_SECONDS: Final = 2.0


def remote_spec(run: str) -> tuple[str, str] | None:
    """The host and run of `user@host:RUN`; None for a local path or name, and for a URL."""
    found = _SPEC.fullmatch(run)
    if found is None or "://" in run or Path(run).exists():
        return None
    return found["host"], found["run"] or "latest"


class RemoteRun:
    """A run on another machine and its local mirror.

    Args:
        host: the host, as ssh takes it.
        run: RUN, as `nntrace stream` takes it on that host.
        folder: an empty folder for the mirror.
        nntrace: the nntrace command on that host.
    """

    def __init__(self, host: str, run: str, folder: Path, nntrace: str = "nntrace") -> None:
        self.host = host
        self.mirror = Mirror(folder)
        self._run = run
        self._nntrace = nntrace
        self._problem: str | None = None
        self._complaint = ""
        self._may_speak = True
        self._is_connected = False
        self._stopped = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._follow, name="nntrace-remote", daemon=True)

    def connect(self, *, attended: bool = True) -> None:
        """Connect and wait for the run's manifest, then follow the run in a thread.

        Args:
            attended: whether ssh may ask questions and print errors on the terminal.

        Raises:
            NntraceError: there is no connection, or no nntrace or run on the host; the message
                says what to do next.
        """
        self._may_speak = attended
        self._process = self._start(() if attended else UNATTENDED)
        self._receive(self._process, until_manifest=True)
        if not self.mirror.has_run:
            raise NntraceError(self._why(self._process))
        self._is_connected = True
        self._thread.start()

    def close(self) -> None:
        """End the connection."""
        self._stopped.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
        if self._thread.is_alive():
            self._thread.join(_CLOSING_SECONDS)

    @property
    def where(self) -> str:
        """The run folder as `host:path`, as scp takes it."""
        return f"{self.host}:{self.mirror.source}"

    def problem(self) -> str | None:
        """What is wrong with the connection, for the monitor to show; None if nothing is."""
        return self._problem

    def _start(self, options: Sequence[str]) -> subprocess.Popen[bytes]:
        words = [self._nntrace, "stream", "--resume", "--", self.mirror.source or self._run]
        command = " ".join([words[0], *(shlex.quote(word) for word in words[1:])])
        try:
            process = subprocess.Popen(
                [*SSH, *options, self.host, command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise NntraceError(
                f"cannot start ssh: {error.strerror}. Install an SSH client, or copy the run here."
            ) from error
        threading.Thread(target=self._relay_errors, args=(process,), daemon=True).start()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(self.mirror.have).encode() + b"\n")
            process.stdin.flush()
        except OSError:  # ssh has ended; its exit code says why
            pass
        return process

    def _relay_errors(self, process: "subprocess.Popen[bytes]") -> None:
        """Print what ssh and the other side report, while no screen is open; keep the last line."""
        assert process.stderr is not None
        with process.stderr as errors:
            for line in errors:
                self._complaint = printable(line.decode("utf-8", "replace").rstrip())
                if self._may_speak and not self._is_connected:
                    sys.stderr.write(self._complaint + "\n")

    def _receive(self, process: subprocess.Popen[bytes], *, until_manifest: bool = False) -> None:
        """Write frames to the mirror until there are no more, or the manifest has come."""
        assert process.stdout is not None
        while not self._stopped.is_set():
            frame = read_frame(process.stdout)
            if frame is None:
                return
            self.mirror.take(frame)
            self._problem = None
            self.mirror.touch()
            if until_manifest and self.mirror.has_run:
                return

    def _follow(self) -> None:
        attempt = 0
        while not self._stopped.is_set():
            received = sum(self.mirror.have.values())
            problem = self._follow_once()
            if not problem:
                return
            if sum(self.mirror.have.values()) > received:
                attempt = 0
            pause = _RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)]
            attempt += 1
            self._problem = f"{problem} Trying again every {pause:.0f} s."
            self._keep_alive(pause)

    def _follow_once(self) -> str:
        """Receive until the connection ends; what ended it, empty if the run has ended."""
        try:
            process = self._process = self._process or self._start(UNATTENDED)
        except NntraceError as error:
            return str(error)
        problem = ""
        try:
            self._receive(process)
        except NntraceError as error:
            problem = f"{self.host}: {error}"
        except OSError as error:
            problem = f"What {self.host} sends cannot be kept here: {error.strerror}."
        if problem:
            process.terminate()
        if (_ended(process) or self._problem) and not problem:
            problem = f"The connection to {self.host} is lost; this is the last state that came."
        self._process = None
        return problem

    def _keep_alive(self, seconds: float) -> None:
        """Wait without letting the run count as killed because nothing is received."""
        self.mirror.touch()
        self._stopped.wait(seconds)

    def _why(self, process: subprocess.Popen[bytes]) -> str:
        code = _ended(process)
        if code == _NOT_FOUND:
            return (
                f"{self.host} has no command {self._nntrace!r} on the path of a login by ssh. "
                "Give it: --remote-nntrace path/to/venv/bin/nntrace."
            )
        if not self._may_speak:
            return f"nothing came from {self.host}: {self._complaint or f'ssh ended with {code}'}"
        return (
            f"nothing came from {self.host} (ssh ended with {code}). What it says above is the "
            f"reason; try: ssh {self.host} {self._nntrace} runs"
        )


def _ended(process: "subprocess.Popen[bytes]") -> int:
    """Close the pipes to a process, wait for its end and return its exit code."""
    for pipe in (process.stdin, process.stdout):
        with suppress(OSError):
            if pipe is not None:
                pipe.close()
    return process.wait()
