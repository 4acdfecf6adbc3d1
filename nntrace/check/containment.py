"""Keeps what a child of `nntrace check` writes inside its sandbox, or notes what escapes.

Python raises an audit event before it opens a file (PEP 578); `native_writes` does for native code.
A link to one of the user's files is replaced by a copy before it is written to. What cannot
be kept inside is allowed and noted for the user: places outside the sandbox that are written to,
hosts on the network that are contacted, programs other than Python that are started.
"""

import os
import platform
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from typing import Any, Final

from nntrace.check.native_writes import audit_native_writes
from nntrace.experiment import Experiment

_MOST_NOTES: Final = 1000
_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC
# By audit event: which of its arguments are paths that are changed.
_CHANGES: Final = {
    "os.mkdir": (0,),
    "os.rename": (0, 1),
    "os.remove": (0,),
    "os.rmdir": (0,),
    "os.truncate": (0,),
    "os.link": (1,),
    "os.symlink": (1,),
    "sqlite3.connect": (0,),
}
_HARMLESS: Final = ("/dev/", "/proc/", "/sys/")
# Programs that frameworks start to query the machine; they write nothing.
_ONLY_READ: Final = frozenset(
    {
        "uname",
        "lscpu",
        "sysctl",
        "getconf",
        "hostname",
        "nvidia-smi",
        "stty",
        "tput",
        "ldconfig",
        "gcc",
        "cc",
        "c++",
        "g++",
        "ld",
        "objdump",
        "file",
        "which",
        "fc-list",
        "git",
    }
)
_LOOPBACK: Final = ("127.", "::1", "localhost", "0.0.0.0", "::")
WRITTEN: Final = "written"
ASKED: Final = "asked"
STARTED: Final = "started"
ESCAPES: Final = "NNTRACE_ESCAPES"  # names the file of the notes


def contain(encoded: str) -> None:
    """Seed this process as an encoded experiment asks, and contain it in its sandbox, if any."""
    experiment = Experiment.decode(encoded)
    if experiment is None:
        return
    random.seed(experiment.seed)
    if experiment.sandbox:
        sys.addaudithook(Containment(experiment, os.environ.get(ESCAPES, "")))
        audit_native_writes()


class Containment:
    """The audit hook.

    Args:
        experiment: the experiment, which names the sandbox.
        notes: the file for notes of what escapes, one per line; no notes when empty.
    """

    def __init__(self, experiment: Experiment, notes: str) -> None:
        self._sandbox = os.path.realpath(experiment.surroundings or experiment.sandbox)
        self._notes = notes
        own = (os.environ.get("NNTRACE_RUN", ""), tempfile.gettempdir(), notes)
        self._inside = tuple(os.path.realpath(place) for place in (self._sandbox, *own) if place)
        self._noted: set[tuple[str, str]] = set()
        self._busy = False
        self._other: dict[str, Callable[..., None]] = {
            "socket.getaddrinfo": self._asked,
            "socket.connect": lambda socket, address: self._connected(address),
            "subprocess.Popen": lambda program, words, *rest: self._started(program or words[0]),
            "os.posix_spawn": lambda program, *rest: self._started(program),
            "os.system": lambda command: self._started(os.fsdecode(command).split()[0]),
        }

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        """Handle an audit event; the interpreter calls this at every one."""
        if self._busy or not (event == "open" or event in _CHANGES or event in self._other):
            return
        self._busy = True
        try:
            if event == "open":
                self._opened(*args)
            elif event in self._other:
                self._other[event](*args)
            else:
                if event == "os.mkdir" and os.path.isdir(args[0]):
                    return  # with `exist_ok`, this makes nothing
                for place in _CHANGES[event]:
                    self._written(args[place], removes=event in ("os.remove", "os.rename"))
        except Exception:  # never the program's problem
            return
        finally:
            self._busy = False

    def _opened(self, path: Any, mode: Any, flags: Any) -> None:
        if isinstance(flags, int) and flags & _WRITES:
            self._written(path, keeps_content=not flags & os.O_TRUNC)

    def _written(self, path: Any, *, keeps_content: bool = True, removes: bool = False) -> None:
        """Handle a file that is about to be written, made or removed."""
        if not isinstance(path, str | bytes | os.PathLike):
            return  # a descriptor, whose opening was audited
        place = os.path.abspath(os.fsdecode(path))
        if place.startswith(_HARMLESS) or place == ":memory:":
            return
        real = os.path.join(os.path.realpath(os.path.dirname(place)), os.path.basename(place))
        if not _is_in(real, self._inside):
            self._note(WRITTEN, real)
        elif os.path.islink(real) and not removes and _is_in(real, (self._sandbox,)):
            _replace_link(real, keeps_content=keeps_content)

    def _connected(self, address: Any) -> None:
        if isinstance(address, tuple):  # else the path of a Unix socket
            self._asked(*address)

    def _asked(self, host: Any, *rest: Any) -> None:
        """Handle a host name that is looked up, or an address that is connected to."""
        if isinstance(host, bytes):
            host = host.decode(errors="replace")
        if not isinstance(host, str) or not host or host.startswith(_LOOPBACK):
            return
        is_address = ":" in host or host.replace(".", "").isdecimal()
        has_name = any(kind == ASKED for kind, _ in self._noted)
        # An address after a noted name is taken to be that name's.
        if host != platform.node() and not (is_address and has_name):
            self._note(ASKED, host)

    def _started(self, program: Any) -> None:
        name = os.path.basename(os.fsdecode(program))
        if not name.startswith("python") and name not in _ONLY_READ:
            self._note(STARTED, name)

    def _note(self, kind: str, what: str) -> None:
        note = (kind, what)
        if note in self._noted or len(self._noted) >= _MOST_NOTES or not self._notes:
            return
        self._noted.add(note)
        with open(self._notes, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{note!r}\n")


def _is_in(place: str, folders: tuple[str, ...]) -> bool:
    return any(place == folder or place.startswith(folder + os.sep) for folder in folders)


def _replace_link(link: str, *, keeps_content: bool) -> None:
    """Replace a link to the user's file: by a copy, or by nothing when its content will go."""
    target = os.path.realpath(link)
    if not os.path.isfile(target):
        return
    if keeps_content:
        copy = f"{link}.nntrace"
        shutil.copy2(target, copy)
        os.replace(copy, link)
    else:
        os.unlink(link)
