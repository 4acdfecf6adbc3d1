"""Lines of the program as they are reported: file, line number and source text."""

import linecache
from types import FrameType
from typing import Any

from nntrace_torch.program.sources import UNKNOWN, Source
from nntrace_torch.replay.frames import users_frames


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
