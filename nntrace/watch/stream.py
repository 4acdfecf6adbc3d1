"""A run folder as one stream of bytes, through a pipe: what `nntrace stream` writes.

A frame is one line of JSON and as many bytes as that line announces. Streams are append-only, so a
frame says "these bytes belong at this offset"; a reader that reconnects says how much it has and
gets the rest. No port is opened and nothing is written to the run folder.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final

from nntrace.errors import NntraceError
from nntrace.manifest import Manifest
from nntrace.schema import MANIFEST, STREAMS, RunStatus

PROTOCOL: Final = 1
HEARTBEAT_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.5
_CHUNK: Final = 1 << 20
_LARGEST_HEAD: Final = 1 << 16
# The only names that are sent and accepted: what comes through a pipe is hostile input.
_NAME: Final = re.compile(rf"rank-[0-9]{{5,9}}/({'|'.join(STREAMS)})-[0-9]{{5}}\.arrows")


@dataclass(frozen=True, slots=True)
class Frame:
    """One piece of a run.

    Attributes:
        kind: `hello` (`text` is the run's path), `bytes` (of file `name`, from `offset` on),
            `manifest` (the whole of it, with the status as the run's own machine sees it and
            without a process that another machine could look for) or `alive` (nothing is new).
    """

    kind: str
    name: str = ""
    offset: int = 0
    text: str = ""
    data: bytes = b""


def is_stream_file(name: str) -> bool:
    """Whether this is the name of a stream's segment within a run folder."""
    return _NAME.fullmatch(name) is not None


def write_frame(frame: Frame, file: IO[bytes]) -> None:
    """Write a frame: its head as a line of JSON, then its bytes."""
    head = {key: value for key, value in asdict(frame).items() if key != "data" and value}
    head["bytes"] = len(frame.data)
    file.write(json.dumps(head).encode() + b"\n" + frame.data)


def read_frame(file: IO[bytes]) -> Frame | None:
    """The next frame; None at the end of the stream, even if that is within a frame.

    Raises:
        NntraceError: the bytes are not frames.
    """
    line = file.readline(_LARGEST_HEAD)
    if not line.endswith(b"\n"):
        return None
    try:
        head: dict[str, Any] = json.loads(line)
        length = int(head["bytes"])
        name, offset = str(head.get("name", "")), int(head.get("offset", 0))
        frame = Frame(str(head["kind"]), name, offset, str(head.get("text", "")))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NntraceError("the other side does not speak as `nntrace stream` does.") from error
    if not 0 <= length <= _CHUNK or offset < 0:
        raise NntraceError("the other side sent an impossible length.")
    data = file.read(length)
    return None if len(data) < length else Frame(frame.kind, name, offset, frame.text, data)


def frames(
    run: Path,
    have: Mapping[str, int],
    *,
    follow: bool = True,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Frame]:
    """Everything of a run that the reader lacks and, with `follow`, what is added until it ends.

    Args:
        have: how many bytes of each file the reader has.

    Raises:
        NotARunError: the folder is gone.
    """
    yield Frame("hello", text=str(run.absolute()), offset=PROTOCOL)
    if not have:  # something to look at while the rows are under way
        yield _manifest(Manifest.read(run), RunStatus.RUNNING)
    sent = {name: size for name, size in have.items() if is_stream_file(name)}
    shown: Frame | None = None
    spoken = clock()
    while True:
        manifest = Manifest.read(run)
        status = manifest.current_status(run)
        for frame in _fresh(run, sent):
            yield frame
            spoken = clock()
        # After the rows, so that whoever sees that a run has ended has all of it.
        frame = _manifest(manifest, status)
        if frame != shown:
            shown, spoken = frame, clock()
            yield frame
        if not follow or status is not RunStatus.RUNNING:
            return
        if clock() - spoken >= HEARTBEAT_SECONDS:
            spoken = clock()
            yield Frame("alive")
        sleep(_POLL_SECONDS)


def _manifest(manifest: Manifest, status: RunStatus) -> Frame:
    """The manifest as this machine sees it: another one cannot look for the process."""
    return Frame("manifest", text=json.dumps({**asdict(manifest), "status": status, "pid": 0}))


def _fresh(run: Path, sent: dict[str, int]) -> Iterator[Frame]:
    """The bytes after those that were sent, file by file in the order of their names."""
    for path in sorted(run.glob("rank-*/*.arrows")):
        name = path.relative_to(run).as_posix()
        if not is_stream_file(name):
            continue
        with path.open("rb") as file:
            file.seek(sent.get(name, 0))
            while data := file.read(_CHUNK):
                yield Frame("bytes", name, sent.get(name, 0), data=data)
                sent[name] = sent.get(name, 0) + len(data)


class Mirror:
    """A folder in which a run appears as its frames come in.

    The manifest is written after the rows it describes; nothing outside the folder is touched.
    Whether a run of another machine is alive is judged by the age of its newest `*.arrows` file, so
    the mirror holds an extra one that is touched whenever something is received.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = ""

    @property
    def have(self) -> dict[str, int]:
        """How many bytes of each file are here."""
        return {
            path.relative_to(self.folder).as_posix(): path.stat().st_size
            for path in self.folder.glob("rank-*/*.arrows")
        }

    @property
    def has_run(self) -> bool:
        """Whether the manifest has come."""
        return (self.folder / MANIFEST).exists()

    def touch(self) -> None:
        """Note that something was received."""
        (self.folder / "heard.arrows").touch()

    def take(self, frame: Frame) -> None:
        """Write what a frame holds.

        Raises:
            NntraceError: `nntrace stream` sends no such frame.
        """
        if frame.kind == "hello":
            if frame.offset > PROTOCOL:
                raise NntraceError("the other side's nntrace is newer. Upgrade this one.")
            self.source = frame.text
        elif frame.kind == "bytes":
            self._append(frame)
        elif frame.kind == "manifest":
            (self.folder / f".{MANIFEST}").write_text(frame.text, encoding="utf-8")
            (self.folder / f".{MANIFEST}").replace(self.folder / MANIFEST)

    def _append(self, frame: Frame) -> None:
        path = self.folder / frame.name
        if not is_stream_file(frame.name):
            raise NntraceError("the other side sent a file that no run has.")
        size = path.stat().st_size if path.exists() else 0
        if frame.offset != size:
            raise NntraceError("the other side sent bytes that do not follow those before.")
        path.parent.mkdir(exist_ok=True)
        with path.open("ab") as file:
            file.write(frame.data)
