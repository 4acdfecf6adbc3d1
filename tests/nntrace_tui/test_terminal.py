"""The monitor in a real terminal (tmux) on a real training, from attaching to its end."""

import itertools
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from run_folders import steps, write_run

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")

_PATIENCE_SECONDS = 40
NNTRACE = f"{sys.executable} -m nntrace"

# Softmax before cross-entropy, for as long as it is let; says how often it was interrupted.
TRAIN = """
import sys, time, torch
from torch import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4), nn.Softmax(1))
optimizer = torch.optim.SGD(model.parameters(), 0.1)
try:
    for step in range(10**6):
        x = torch.randn(16, 8)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), x[:, :4].argmax(1)).backward()
        optimizer.step()
        time.sleep(0.01)
        if step % 100 == 0:
            print("at", step)
except KeyboardInterrupt:
    print("interrupted once")
    time.sleep(0.5)
    sys.exit(7)
"""


def until(holds: Callable[[], bool], why: Callable[[], str]) -> None:
    ends = time.monotonic() + _PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < ends, why()
        time.sleep(0.1)


def children_of(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, check=True)
    pairs = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
    return [child for child, parent in pairs if parent == pid]


_SERVERS = itertools.count()


class Terminal:
    """A terminal of 120 × 36 in which a command runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._server = ""

    def _tmux(self, *words: str) -> str:
        command = ["tmux", "-L", self._server, "-f", "/dev/null", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def start(self, command: str) -> None:
        """Run it in a shell, which afterwards says how it ended."""
        self._open(f"cd {self.folder}; {command}; echo ended with $?; sleep 1000")

    def start_shell(self, command: str) -> None:
        """Type it into a shell that has job control."""
        self._open(f"cd {self.folder}; exec bash --norc --noprofile -i")
        self._tmux("send-keys", command, "Enter")

    def _open(self, shell: str) -> None:
        self.close()
        # Not the name of an earlier test's server: one that is told to end takes its time.
        self._server = f"nntrace-{os.getpid()}-{next(_SERVERS)}"
        self._tmux("new-session", "-d", "-s", "0", "-x", "120", "-y", "36", shell)

    def press(self, *keys: str) -> None:
        self._tmux("send-keys", *keys)

    @property
    def pid(self) -> int:
        """The shell's."""
        return int(self._tmux("display-message", "-p", "#{pane_pid}"))

    @property
    def screen(self) -> str:
        return self._tmux("capture-pane", "-p")

    def shows(self, words: str) -> None:
        """Wait for these words."""
        until(lambda: words in self.screen, lambda: f"no {words!r} in\n{self.screen}")

    def gives_back(self, words: str) -> None:
        """Wait until they have gone with the application that showed them."""
        until(lambda: words not in self.screen, lambda: f"still {words!r} in\n{self.screen}")

    def close(self) -> None:
        if self._server:
            self._tmux("kill-server")


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    for name in [name for name in os.environ if name.startswith("NNTRACE")]:
        monkeypatch.delenv(name)
    for size in ("COLUMNS", "LINES"):
        monkeypatch.delenv(size, raising=False)
    (tmp_path / "train.py").write_text(TRAIN)
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.close()


@contextmanager
def trained(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A training under trace, which ends with the test."""
    training = subprocess.Popen(
        [sys.executable, "-m", "nntrace", "run", "train.py"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield training
    finally:
        training.kill()
        training.wait()


def test_wait_for_a_run_see_its_fault_detach_attach_again_and_see_it_killed(terminal) -> None:
    terminal.start(f"{NNTRACE} monitor")
    terminal.shows("waiting for the first")
    with trained(terminal.folder) as training:
        terminal.shows("● running")
        terminal.shows("LOS02 softmax-before-cross-entropy")
        terminal.press("2")
        terminal.shows("Layers · activation std")
        terminal.press("q")
        terminal.shows("ended with 0")
        assert training.poll() is None
        terminal.start(f"{NNTRACE} monitor latest")
        terminal.shows("● running")
        training.send_signal(signal.SIGKILL)
        training.wait()
        terminal.shows("✘ killed")
        terminal.press("q")
        terminal.shows("ended with 0")


def test_suspended_it_gives_the_terminal_back_and_continued_it_shows_what_came_since(
    terminal,
) -> None:
    with trained(terminal.folder) as training:
        terminal.start_shell(f"{NNTRACE} monitor")
        terminal.shows("● running")
        terminal.press("C-z")
        terminal.shows("Stopped")
        terminal.gives_back("● running")
        training.kill()
        training.wait()
        terminal.press("fg", "Enter")
        terminal.shows("✘ killed")
        shutil.rmtree(terminal.folder / "nntrace-runs")
        terminal.shows("no longer there")
        terminal.press("q")
        terminal.gives_back("no longer there")
        terminal.press("echo left with $?", "Enter")
        terminal.shows("left with 0")


def test_sigterm_ends_a_live_run_and_its_program_and_gives_the_terminal_back(terminal) -> None:
    terminal.start(f"{NNTRACE} run --live train.py")
    terminal.shows("at 100")
    (ours,) = children_of(terminal.pid)
    (program,) = children_of(ours)
    os.kill(ours, signal.SIGTERM)
    terminal.shows(f"ended with {128 + signal.SIGTERM}")
    with pytest.raises(ProcessLookupError):
        os.kill(program, 0)


@pytest.mark.parametrize("until_shown", [b"\x1b", b"finished"], ids=["at once", "later"])
def test_a_terminal_that_is_gone_ends_the_monitor_though_no_signal_says_so(
    until_shown: bytes, tmp_path: Path
) -> None:
    run = write_run(tmp_path / "run", steps=steps(3))
    ours, its = pty.openpty()  # of a session without a controlling terminal: nobody sends SIGHUP
    monitor = subprocess.Popen(
        [sys.executable, "-m", "nntrace", "monitor", str(run)],
        stdin=its, stdout=its, stderr=its, start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color"},
    )  # fmt: skip
    os.close(its)
    try:
        said = b""
        while until_shown not in said:  # the end of the file raises: it has left too soon
            assert select.select([ours], [], [], _PATIENCE_SECONDS)[0], said
            said += os.read(ours, 1 << 16)
        os.close(ours)
        assert monitor.wait(_PATIENCE_SECONDS) == 128 + signal.SIGTERM
    finally:
        monitor.kill()
        monitor.wait()


def test_a_live_run_shows_its_output_and_ctrl_c_stops_the_training_once(terminal) -> None:
    terminal.start(f"{NNTRACE} run --live train.py")
    terminal.shows("at 100")
    terminal.shows("Output of the program")
    terminal.press("C-c")
    terminal.shows("interrupted once")
    terminal.shows("✘ failed")  # it ends with 7 itself
    terminal.press("q")
    terminal.shows("ended with 7")
    assert terminal.screen.count("interrupted once") == 1
