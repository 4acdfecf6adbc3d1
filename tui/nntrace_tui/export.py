"""Saves the screen as it is: as an SVG or as text, in the working folder."""

import time
from pathlib import Path

from textual.app import App

_TITLE = "nntrace monitor"
_LONGEST_NAME = 100


def file_stem(run: str, page: str) -> str:
    """What the file of a page of a run is called: without characters that mean something to shells
    and file systems.
    """
    kept = "".join(char if char.isalnum() or char in "._-" else "-" for char in run)
    return f"{kept[:_LONGEST_NAME]}-{page.lower()}"


def save_svg(app: App[None], stem: str, folder: Path | None = None) -> Path | str:
    """Save a picture; return its path, or why it was not saved."""
    return _write(app.export_screenshot(title=_TITLE), stem, ".svg", folder)


def save_text(app: App[None], stem: str, folder: Path | None = None) -> Path | str:
    """Save the text; return its path, or why it was not saved."""
    return _write(screen_text(app), stem, ".txt", folder)


def screen_text(app: App[None]) -> str:
    """The screen's characters, line by line."""
    # Textual only exports pictures; its own export draws from these strips.
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips) + "\n"


def _write(content: str, stem: str, suffix: str, folder: Path | None) -> Path | str:
    path = (folder or Path()) / f"{stem}-{time.strftime('%H%M%S')}{suffix}"
    try:
        path = path.absolute()
        path.write_text(content, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        return f"cannot write {path}: {error.strerror}. Start the monitor in a folder of yours."
    return path
