"""The frames of the program, and its lines as they are reported: file, number and source text."""

import linecache
from collections.abc import Iterator
from types import FrameType
from typing import Any

from nntrace_torch.program.sources import UNKNOWN, Source, is_users

_FEW = 3


def users_frames(frame: FrameType | None, most: int = _FEW) -> Iterator[FrameType]:
    """The program's innermost frames, from inside out."""
    while frame is not None and most:
        if is_users(frame.f_code.co_filename):
            most -= 1
            yield frame
        frame = frame.f_back


def source_text(source: Source) -> str | None:
    """The stripped text of a line; None if its file cannot be read."""
    if source.file is None or source.line is None:
        return None
    return linecache.getline(source.file, source.line).strip() or None


def lines(source: Source) -> dict[str, Any]:
    """A line of the program as keys of an event."""
    return {**source.place, "source": source_text(source)}


def calling_line(frame: FrameType | None) -> Source:
    """The innermost line of the program at or above a frame."""
    found = next(users_frames(frame, 1), None)
    return UNKNOWN if found is None else Source(found.f_code.co_filename, found.f_lineno)
