"""Fetches run folders from any file system that fsspec knows (`s3://`, `gs://`, `https://`, …).

Only files that have changed are fetched, into a local cache, and the run is read there.
"""

import hashlib
import re
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Any, Final

from nntrace.cache import cache_folder
from nntrace.errors import NntraceError, NotARunError
from nntrace.extras import require
from nntrace.schema import (
    CAPSULE,
    CAPSULE_SUFFIXES,
    CAPSULES_FOLDER,
    MANIFEST,
    PACKED,
    RANK_FOLDER,
    SEGMENT,
    STREAMS,
)

# The files of a run folder. Nothing else is fetched, above all no path that leads elsewhere.
_FILES: Final = re.compile(
    r"(manifest\.json|rank-[0-9]{5,9}/(capsules/)?[A-Za-z0-9][A-Za-z0-9._-]{0,99})"
)


def is_url(name: str) -> bool:
    """Whether a name is a URL and not a path."""
    return re.match(r"[a-z][a-z0-9+.-]{1,20}://", name) is not None


def fetch(url: str) -> Path:
    """Bring the local copy of a run at a URL up to date and return its folder.

    Raises:
        NotARunError: there is no run folder at the URL.
        NntraceError: the file system cannot be reached.
        MissingExtraError: fsspec, or its package for this kind of URL, is not installed.
    """
    fsspec = require("fsspec", "a run at a URL")
    try:
        system, root = fsspec.core.url_to_fs(url.rstrip("/"))
    except ImportError as error:
        raise NntraceError(f"{url} needs another package: {error}.") from error
    except Exception as error:  # each file system raises its own kinds of errors
        raise _unreadable(url, error) from error
    refusal, files = None, {}
    try:
        files = system.find(root, detail=True)
    except Exception as error:
        refusal = error
    prefix = system._strip_protocol(root).rstrip("/") + "/"
    wanted = {
        path[len(prefix) :]: details.get("size")
        for path, details in files.items()
        if path.startswith(prefix) and _FILES.fullmatch(path[len(prefix) :])
    }
    if MANIFEST not in wanted:
        wanted = _unlisted(system, prefix)
    if MANIFEST not in wanted:
        if refusal is not None:
            raise _unreadable(url, refusal) from refusal
        raise NotARunError(f"{url} is not a run folder: it has no {MANIFEST}.")
    place = hashlib.sha256(url.encode()).hexdigest()[:16]
    local = cache_folder() / "runs" / place / Path(root).name
    # The manifest last, so that the rows it describes are there.
    for name in sorted(wanted, key=lambda name: name == MANIFEST):
        _bring(system, prefix + name, local / name, wanted[name])
    return local


def _unlisted(system: Any, prefix: str) -> dict[str, int | None]:
    """The files of a run and their sizes, found by name: most web servers list no folders."""
    found = _present(system, prefix, [MANIFEST])
    for rank in count() if found else ():
        folder = RANK_FOLDER.format(rank)
        of_rank: dict[str, int | None] = {}
        for stream in STREAMS:
            of_rank |= _present(system, prefix, [f"{folder}/{PACKED.format(stream)}"])
            segments = (f"{folder}/{SEGMENT.format(stream, number)}" for number in count())
            of_rank |= _present(system, prefix, segments)
        if not of_rank:
            break
        for suffix in CAPSULE_SUFFIXES:
            names = (f"{CAPSULES_FOLDER}/{CAPSULE.format(n)}{suffix}" for n in count())
            of_rank |= _present(system, prefix, (f"{folder}/{name}" for name in names))
        found |= of_rank
    return found


def _present(system: Any, prefix: str, names: Iterable[str]) -> dict[str, int | None]:
    """The sizes of files up to the first that does not exist; None for an unknown size."""
    found: dict[str, int | None] = {}
    for name in names:
        try:
            found[name] = _size(system, prefix + name)
        except FileNotFoundError:
            break
    return found


def _size(system: Any, path: str) -> int | None:
    """The size of a file in bytes; None where the file system does not report it.

    Raises:
        FileNotFoundError: there is no such file.
        NntraceError: the file system cannot be reached.
    """
    try:
        size = system.info(path).get("size")
    except FileNotFoundError as error:
        if isinstance(error.__cause__, OSError):  # the server does not answer
            raise _unreadable(path, error.__cause__) from error
        raise
    except Exception as error:
        raise _unreadable(path, error) from error
    return None if size is None else int(size)


def _bring(system: Any, path: str, target: Path, size: int | None) -> None:
    if target.suffix in (".arrows", ".parquet", ".safetensors") and target.is_file():
        known = _size(system, path) if size is None else size
        if target.stat().st_size == known:
            return  # unchanged: streams only ever grow, capsules are written once
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    try:
        system.get_file(path, str(part))
    except Exception as error:
        part.unlink(missing_ok=True)
        raise _unreadable(path, error) from error
    part.replace(target)


def _unreadable(path: str, error: BaseException) -> NntraceError:
    return NntraceError(f"{path} cannot be read: {type(error).__name__}: {error}.")
