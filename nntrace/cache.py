"""The folder for what can be had again: copies of remote runs, the bundled script of reports."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Where it is; not made here."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "nntrace"
