"""Runs a command in a pseudo-terminal, and types the answers it waits for."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_PATIENCE_SECONDS = 120


def in_a_terminal(
    words: Sequence[str],
    folder: Path,
    answers: Mapping[str, str],
    environment: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Run a command in a pseudo-terminal; its exit code, and all it has shown.

    Args:
        words: the command.
        folder: the working folder.
        answers: what to type, once each, by the words that have to be shown first; all of them
            must be shown.
        environment: the command's environment, by default that of this process.
    """
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        words, cwd=folder, env=environment, stdin=its, stdout=its, stderr=its,
        start_new_session=True,
    )  # fmt: skip
    os.close(its)
    said, left = b"", dict(answers)
    ends = time.monotonic() + _PATIENCE_SECONDS
    try:
        while time.monotonic() < ends:
            if select.select([ours], [], [], 0.2)[0]:
                try:
                    said += os.read(ours, 1 << 16)
                except OSError:  # the command has ended
                    break
            for shown in [shown for shown in left if shown.encode() in said]:
                os.write(ours, left.pop(shown).encode())
        assert not left, said[-2000:]
        return process.wait(timeout=_PATIENCE_SECONDS), said.decode(errors="replace")
    finally:
        process.kill()
        process.wait()
        os.close(ours)
