"""Sends a run folder through a pipe as one stream of bytes: the protocol of `nntrace stream`.

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
# The only file names that are sent and accepted, because what a pipe delivers is hostile input.
_NAME: Final = re.compile(rf"rank-[0-9]{{5,9}}/({'|'.join(STREAMS)})-[0-9]{{5}}\.arrows")


@dataclass(frozen=True, slots=True)
class Frame:
    """One piece of a run.

    Attributes:
        kind: `hello` (`text` is the run's path, `offset` the version of the protocol), `bytes`
            (`data` belongs in file `name` at `offset`), `manifest` (`text` is the manifest, with
            the status as the run's own machine sees it and without a process id, which would mean
            nothing on another machine) or `alive` (there is nothing new).
    """

    kind: str
    name: str = ""
    offset: int = 0
    text: str = ""
    data: bytes = b""


def is_stream_file(name: str) -> bool:
    """Whether a name is the path of a stream's segment in a run folder."""
    return _NAME.fullmatch(name) is not None


def write_frame(frame: Frame, file: IO[bytes]) -> None:
    """Write a frame: its head as a line of JSON, then its bytes."""
    head = {key: value for key, value in asdict(frame).items() if key != "data" and value}
    head["bytes"] = len(frame.data)
    file.write(json.dumps(head).encode() + b"\n" + frame.data)


def read_frame(file: IO[bytes]) -> Frame | None:
    """Read the next frame; None at the end of the stream, even within a frame.

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
        raise NntraceError(
            "the other side sent something else than the output of `nntrace stream`."
        ) from error
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
    """The frames that a reader lacks of a run and, with `follow`, those added until the run ends.

    Args:
        run: the run folder.
        have: the number of bytes of each file that the reader has.
        follow: whether to wait for what the run adds.
        sleep: waits for so many seconds.
        clock: a monotonic clock, in seconds.

    Raises:
        NotARunError: the folder is gone.
    """
    yield Frame("hello", text=str(run.absolute()), offset=PROTOCOL)
    if not have:  # a manifest first, to look at while the rows are on their way
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
        # After the rows, so that a reader that sees the run's end has all of its rows.
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
    """A frame of the manifest, with the status as this machine sees it and no process id."""
    return Frame("manifest", text=json.dumps({**asdict(manifest), "status": status, "pid": 0}))


def _fresh(run: Path, sent: dict[str, int]) -> Iterator[Frame]:
    """The frames of bytes not sent yet, file by file in the order of the files' names."""
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
    """A folder in which a run is rebuilt from its frames.

    The manifest is written after the rows it describes; nothing outside the folder is touched.
    Whether a run of another machine is alive is judged by the age of its newest `*.arrows` file, so
    the mirror holds an extra one that is touched whenever something is received.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = ""

    @property
    def have(self) -> dict[str, int]:
        """The number of bytes of each file in the mirror."""
        return {
            path.relative_to(self.folder).as_posix(): path.stat().st_size
            for path in self.folder.glob("rank-*/*.arrows")
        }

    @property
    def has_run(self) -> bool:
        """Whether the manifest has been received."""
        return (self.folder / MANIFEST).exists()

    def touch(self) -> None:
        """Note that something was received: the run counts as alive."""
        (self.folder / "heard.arrows").touch()

    def take(self, frame: Frame) -> None:
        """Write the content of a frame.

        Raises:
            NntraceError: the frame is not one that `nntrace stream` of this version sends.
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
            raise NntraceError("the other side sent a file that does not belong to a run.")
        size = path.stat().st_size if path.exists() else 0
        if frame.offset != size:
            raise NntraceError("the other side sent bytes that do not follow those before.")
        path.parent.mkdir(exist_ok=True)
        with path.open("ab") as file:
            file.write(frame.data)
