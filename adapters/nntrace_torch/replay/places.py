"""Lines of the program as they are reported: file, line number and source text."""

import linecache
from types import FrameType
from typing import Any

from nntrace_torch.program.sources import UNKNOWN, Source, is_users


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
    while frame is not None and not is_users(frame.f_code.co_filename):
        frame = frame.f_back
    return UNKNOWN if frame is None else Source(frame.f_code.co_filename, frame.f_lineno)
