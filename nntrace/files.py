"""Writes files that take the place of older ones only when they are whole."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the path of a new file to write, which replaces the one at `path` afterwards.

    A disk that fills up meanwhile leaves the older file as it was. Pipes and devices, and files in
    a folder that takes no new ones, are written to as they are.

    Raises:
        OSError: in writing; it names `path`.
    """
    old = path.resolve()
    takes_files = os.access(old.parent, os.W_OK) and (old.is_file() or not old.exists())
    part = old.with_name(f".{old.name}.{os.getpid()}") if takes_files else path
    try:
        yield part
        if takes_files:
            if old.exists():
                shutil.copymode(old, part)
            part.replace(old)
    except OSError as error:
        if error.filename in (None, str(part)):
            error.filename = str(path)
        raise
    finally:
        if takes_files:
            part.unlink(missing_ok=True)
