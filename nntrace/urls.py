"""Run folders on any file system fsspec knows (`s3://`, `gs://`, `ssh://`, `https://`, …): fetched
into a local cache, file by file as far as they changed, and read there.
"""

import hashlib
import re
from pathlib import Path
from typing import Any, Final

from nntrace.cache import cache_folder
from nntrace.errors import NntraceError, NotARunError
from nntrace.extras import require
from nntrace.schema import MANIFEST

# What a run folder holds; anything else, a path that leads elsewhere above all, stays away.
_FILES: Final = re.compile(
    r"(manifest\.json|rank-[0-9]{5,9}/(capsules/)?[A-Za-z0-9][A-Za-z0-9._-]{0,99})"
)


def is_url(name: str) -> bool:
    """Whether it is a URL and not a path."""
    return re.match(r"[a-z][a-z0-9+.-]{1,20}://", name) is not None


def fetch(url: str) -> Path:
    """The local copy of a run at a URL, brought up to date.

    Raises:
        NotARunError: there is no run folder.
        NntraceError: the file system cannot be reached.
        MissingExtraError: fsspec, or its package for this kind of URL, is not installed.
    """
    fsspec = require("fsspec", None, "a run at a URL")
    try:
        system, root = fsspec.core.url_to_fs(url.rstrip("/"))
        files = system.find(root, detail=True)
    except ImportError as error:
        raise NntraceError(f"{url} needs another package: {error}.") from error
    except Exception as error:  # every file system has errors of its own
        raise NntraceError(f"{url} cannot be read: {type(error).__name__}: {error}.") from error
    prefix = system._strip_protocol(root).rstrip("/") + "/"
    wanted = {
        path[len(prefix) :]: details
        for path, details in files.items()
        if path.startswith(prefix) and _FILES.fullmatch(path[len(prefix) :])
    }
    if MANIFEST not in wanted:
        raise NotARunError(f"{url} is not a run folder: it has no {MANIFEST}.")
    local = (
        cache_folder() / "runs" / hashlib.sha256(url.encode()).hexdigest()[:16] / Path(root).name
    )
    # The manifest last: what it says has happened is then there.
    for name in sorted(wanted, key=lambda name: name == MANIFEST):
        _bring(system, prefix + name, local / name, wanted[name])
    return local


def _bring(system: Any, path: str, target: Path, details: Any) -> None:
    size = details.get("size")
    streams = target.suffix in (".arrows", ".parquet")
    if streams and target.is_file() and target.stat().st_size == size:
        return  # streams only ever grow
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    try:
        system.get_file(path, str(part))
    except Exception as error:
        part.unlink(missing_ok=True)
        raise NntraceError(f"{path} cannot be read: {type(error).__name__}: {error}.") from error
    part.replace(target)
